import type { ReplyDecision, Support } from 'fastify-ktls'

/** Who encrypts large files: this machine's kernel, a guest's, sender threads, or Node alone. */
export type Place = 'own-kernel' | 'guest' | 'threads' | 'fallback'

export interface ReplyReport extends Pick<ReplyDecision, 'path' | 'backend' | 'reason' | 'version' | 'cipher'> {
  readonly method: string
  readonly url: string
  readonly status: number
  /** Whether all of it was sent. */
  readonly complete: boolean
  /** Of the whole body. */
  readonly bytes: number
  readonly milliseconds: number
}

/** A line of JSON that the guest's server writes to its stdout. */
export type GuestMessage =
  | { readonly type: 'progress', readonly text: string }
  | { readonly type: 'listening', readonly support: Support }
  | { readonly type: 'reply', readonly report: ReplyReport }

/** One line about one request. */
export function formatReply (report: ReplyReport): string {
  const { method, url, status, bytes, complete, milliseconds } = report
  const size = complete ? `${bytes.toLocaleString('en')} bytes` : 'cut off'
  return [
    `${method} ${url}`.padEnd(34),
    status,
    size.padStart(17),
    formatPath(report).padEnd(37),
    `${milliseconds.toLocaleString('en')} ms`.padStart(9)
  ].join('  ')
}

/** `write` means that the connection had been given to its backend by an earlier reply. */
function formatPath ({ path, backend, reason }: ReplyReport): string {
  if (path === null) return 'undecided'
  const way = backend === null ? path : `${path} by ${backend}`
  return reason === null ? way : `${way} (${reason})`
}
