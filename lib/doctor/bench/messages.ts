import type { Certificate } from './certificate'
import type { ContenderName } from './comparison'
import type { TlsBackend } from './figures'

/** From the measuring process to a server: what to serve, or a question. */
export type Request = { readonly type: 'start', readonly settings: Settings } | { readonly type: 'usage' }

export interface Settings {
  readonly name: ContenderName
  readonly certificate: Certificate
  readonly file: string
}

/** The server's answer to each. */
export type Answer =
  | { readonly type: 'listening', readonly port: number }
  | { readonly type: 'usage', readonly usage: Usage }
  /** Why it does not serve; it ends. */
  | { readonly type: 'failed', readonly message: string }

/** Since the server's start. */
export interface Usage {
  /** Processor time of all threads of the server's process, in microseconds. */
  readonly cpu: number
  /** Replies by path 'file', by who encrypted them. */
  readonly offloaded: Readonly<Record<TlsBackend, number>>
}
