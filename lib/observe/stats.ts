import type { FallbackReason, Path, Stats } from '../../types/index'

/** What one live connection has sent so far. */
export interface ByteSource {
  bytes (): Readonly<Record<Path, number>>
}

/** The counters of one Fastify instance. */
export class Counters {
  readonly #connections = { seen: 0, promoted: 0 }
  readonly #keys = { updated: 0, usedUp: 0 }
  readonly #replies: Record<Path, number> = { sendfile: 0, write: 0, node: 0 }
  readonly #bytesOfClosed: Record<Path, number> = { sendfile: 0, write: 0, node: 0 }
  readonly #fallbacks: Partial<Record<FallbackReason, number>> = {}
  readonly #open = new Set<ByteSource>()

  opened (connection: ByteSource): void {
    this.#connections.seen++
    this.#open.add(connection)
  }

  promoted (): void {
    this.#connections.promoted++
  }

  keysUpdated (count: number): void {
    this.#keys.updated += count
  }

  keyUsedUp (): void {
    this.#keys.usedUp++
  }

  closed (connection: ByteSource): void {
    if (this.#open.delete(connection)) add(this.#bytesOfClosed, connection.bytes())
  }

  replied (path: Path, reason: FallbackReason | null): void {
    this.#replies[path]++
    if (reason !== null) this.#fallbacks[reason] = (this.#fallbacks[reason] ?? 0) + 1
  }

  snapshot (): Omit<Stats, 'kernel'> {
    const bytes = { ...this.#bytesOfClosed }
    for (const connection of this.#open) add(bytes, connection.bytes())
    return {
      connections: { ...this.#connections, open: this.#open.size },
      keys: { ...this.#keys },
      replies: { ...this.#replies },
      bytes,
      fallbacks: { ...this.#fallbacks }
    }
  }
}

function add (sum: Record<Path, number>, bytes: Readonly<Record<Path, number>>): void {
  sum.sendfile += bytes.sendfile
  sum.write += bytes.write
  sum.node += bytes.node
}
