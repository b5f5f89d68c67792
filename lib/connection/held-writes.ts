import { copyOf, sizeOf } from './parts'
import type { Chunk } from './parts'

/** Those that wait for the event loop: at the end of the process it does not turn any more. */
const waiting = new Set<HeldWrites>()

function handAllOn (): void {
  for (const held of waiting) held.handOn()
}

/**
 * Keeps what a socket writes until its connection is promoted, or is not: one write, as a Writable hands out the next one
 * when that has ended. Corking would not do, as the end of a response uncorks its socket.
 */
export class HeldWrites {
  #bytes = 0
  #write: (() => void) | undefined

  /** From now on writes are kept, until `handOn`. */
  begin (): void {
    if (waiting.size === 0) process.on('exit', handAllOn)
    waiting.add(this)
  }

  /** Whether a write is kept: then neither Node nor a backend has one of the socket's. */
  get any (): boolean {
    return this.#write !== undefined
  }

  get bytes (): number {
    return this.#bytes
  }

  /** False when nothing is to be kept. `write` writes it anew, in place of the application's memory by copies. */
  keep (chunks: readonly Chunk[], write: (copies: Chunk[]) => void): boolean {
    if (!waiting.has(this)) return false
    const copies = chunks.map(({ chunk, encoding }) => ({ chunk: copyOf(chunk), encoding }))
    this.#bytes = copies.reduce((sum, chunk) => sum + sizeOf(chunk), 0)
    this.#write = () => write(copies)
    return true
  }

  /** Has what was kept written, also where the socket is about to be destroyed: Node would have written it before. */
  handOn (): void {
    const write = this.#write
    this.#write = undefined
    this.#bytes = 0
    if (waiting.delete(this) && waiting.size === 0) process.off('exit', handAllOn)
    write?.()
  }
}
