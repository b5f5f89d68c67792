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

/** Promoted connections of these servers that have ended, at least. */
function endedOf (servers: readonly FastifyInstance[]): number {
  return sumOf(servers.map(({ ktls }) => {
    const { promoted, open } = ktls?.stats().connections ?? { promoted: 0, open: 0 }
    return Math.max(0, promoted - open)
  }))
}

/**
 * The returned function waits until the kernel has let go of each promoted
 * connection that these servers have closed since, and throws if TCP had got less
 * of one than was owed, or bytes that did not go through the kernel.
 */
export function openAccounts (servers: readonly FastifyInstance[]): () => Promise<void> {
  const before = { ended: endedOf(servers), closings: closings() }
  return async () => {
    const ended = endedOf(servers) - before.ended
    const closed = () => sumOf(Object.values(closings())) - sumOf(Object.values(before.closings))
    await until(() => closed() >= ended)
    const { less, more } = closings()
    deepStrictEqual({ less, more }, { less: before.closings.less, more: before.closings.more }, 'the bytes of each connection, at its end')
  }
}

function sumOf (counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0)
}
