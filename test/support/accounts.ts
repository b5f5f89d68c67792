import { deepStrictEqual } from 'node:assert'
import type { FastifyInstance } from 'fastify'
import { loadBinding } from '../../lib/binding'
import type { Closings } from '../../lib/binding'
import { until } from './wait'

/** How the bytes of the connections stood that this process has closed so far. */
export function closings (): Closings {
  const loaded = loadBinding()
  return 'binding' in loaded ? loaded.binding.closings() : { exact: 0, owed: 0, less: 0, more: 0, unknown: 0 }
}

/**
 * For a server that is about to listen. The returned function, called when it has
 * closed, waits until the kernel has let go of as many connections as the server
 * had promoted, and throws if TCP had got less of one than was owed, or bytes that
 * did not go through the kernel.
 */
export function openAccount ({ ktls }: Pick<FastifyInstance, 'ktls'>): () => Promise<void> {
  const before = closings()
  return async () => {
    // An upgraded connection can outlive its server.
    const { promoted, open } = ktls?.stats().connections ?? { promoted: 0, open: 0 }
    await until(() => sumOf(closings()) - sumOf(before) >= promoted - open)
    const { less, more } = closings()
    deepStrictEqual({ less, more }, { less: before.less, more: before.more }, 'the bytes of each connection, at its end')
  }
}

function sumOf (counts: Closings): number {
  return Object.values(counts).reduce((sum: number, count: number) => sum + count, 0)
}
