import type { Backend, FallbackReason, Stats } from '../../types/index'
import type { Way } from '../way'

/** Bytes of plaintext that one connection has sent; by Node alone before its promotion. */
export type Sent =
  | { readonly backend: null, readonly node: number }
  | { readonly backend: Backend, readonly file: number, readonly write: number, readonly node: number }

/** What one live connection has sent so far. */
export interface ByteSource {
  sent (): Sent
}

type ByBackend = Record<Backend, number>

interface ByPath {
  readonly file: ByBackend
  readonly write: ByBackend
  node: number
}

/** The counters of one Fastify instance. */
export class Counters {
  #seen = 0
  readonly #promoted = byBackend()
  readonly #keys = { updated: 0, usedUp: 0 }
  readonly #replies = byPath()
  readonly #bytesOfClosed = byPath()
  readonly #fallbacks: Partial<Record<FallbackReason, number>> = {}
  readonly #open = new Set<ByteSource>()

  opened (connection: ByteSource): void {
    this.#seen++
    this.#open.add(connection)
  }

  promoted (backend: Backend): void {
    this.#promoted[backend]++
  }

  keysUpdated (count: number): void {
    this.#keys.updated += count
  }

  keyUsedUp (): void {
    this.#keys.usedUp++
  }

  closed (connection: ByteSource): void {
    if (this.#open.delete(connection)) add(this.#bytesOfClosed, connection.sent())
  }

  replied (way: Way, reason: FallbackReason | null): void {
    if (way.path === 'node') this.#replies.node++
    else this.#replies[way.path][way.backend]++
    if (reason !== null) this.#fallbacks[reason] = (this.#fallbacks[reason] ?? 0) + 1
  }

  snapshot (): Omit<Stats, 'files' | 'kernel' | 'senders'> {
    const bytes = copy(this.#bytesOfClosed)
    for (const connection of this.#open) add(bytes, connection.sent())
    return {
      connections: { seen: this.#seen, promoted: { ...this.#promoted }, open: this.#open.size },
      keys: { ...this.#keys },
      replies: copy(this.#replies),
      bytes,
      fallbacks: { ...this.#fallbacks }
    }
  }
}

function byBackend (): ByBackend {
  return { kernel: 0, threads: 0, plain: 0 }
}

function byPath (): ByPath {
  return { file: byBackend(), write: byBackend(), node: 0 }
}

function copy ({ file, write, node }: ByPath): ByPath {
  return { file: { ...file }, write: { ...write }, node }
}

function add (sum: ByPath, sent: Sent): void {
  sum.node += sent.node
  if (sent.backend === null) return
  sum.file[sent.backend] += sent.file
  sum.write[sent.backend] += sent.write
}
