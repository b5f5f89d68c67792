import type { TlsBackend } from './figures'
import type { Certificate } from './certificate'

/** From the measuring process to a server: what to serve, or a question. */
export type Request = { readonly type: 'start', readonly settings: Settings } | { readonly type: 'usage' }

export interface Settings {
  readonly certificate: Certificate
  readonly file: string
  /** With the plugin, or Fastify as it is. */
  readonly plugin: boolean
}

/** The server's answer to each. */
export type Answer = { readonly type: 'listening', readonly port: number } | { readonly type: 'usage', readonly usage: Usage }

/** Since the server's start. */
export interface Usage {
  /** Processor time of all threads of the server's process, in microseconds. */
  readonly cpu: number
  readonly replies: number
  /** Of these by path 'file', by who sealed them. */
  readonly offloaded: Readonly<Record<TlsBackend, number>>
}
