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
 * closed, waits until as many connections are let go of as the server
 * had promoted, and throws if TCP had got less of one than was owed, or bytes that
 * did not go through its backend.
 */
export function openAccount ({ ktls }: Pick<FastifyInstance, 'ktls'>): () => Promise<void> {
  const before = closings()
  return async () => {
    // An upgraded connection can outlive its server.
    const { promoted, open } = ktls?.stats().connections ?? { promoted: {}, open: 0 }
    await until(() => sumOf(closings()) - sumOf(before) >= sumOf(promoted) - open)
    const { less, more } = closings()
    deepStrictEqual({ less, more }, { less: before.less, more: before.more }, 'the bytes of each connection, at its end')
  }
}

function sumOf (counts: object): number {
  return Object.values(counts).reduce((sum: number, count: number) => sum + count, 0)
}
