import type { Server } from 'node:net'
import type { FileFigures, FileMiss } from '../../types/index'

/** What fastify-ktls/static counts for one Fastify instance, in all its registrations. */
export class FileCounters {
  #open = 0
  #hits = 0
  readonly #misses: Record<FileMiss, number> = { new: 0, changed: 0, request: 0, headers: 0 }

  opened (): void {
    this.#open++
  }

  closed (): void {
    this.#open--
  }

  hit (): void {
    this.#hits++
  }

  missed (cause: FileMiss): void {
    this.#misses[cause]++
  }

  snapshot (): FileFigures {
    return { open: this.#open, hits: this.#hits, misses: { ...this.#misses } }
  }
}

const byServer = new WeakMap<Server, FileCounters>()

/** Those of the instance that has this server. */
export function fileCountersOf (server: Server): FileCounters {
  let counters = byServer.get(server)
  if (counters === undefined) byServer.set(server, counters = new FileCounters())
  return counters
}
