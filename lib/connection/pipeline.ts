import { AsyncResource } from 'node:async_hooks'
import type { ReadStream } from 'node:fs'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Requests that are handled while they wait for their turn, on a connection that asks for files. */
const MAX_HANDLED = 16

/** Requests held back on a connection; after these it is read no more until some are handled. */
const MAX_HELD = 1000

/**
 * The pipelined requests of one connection (RFC 9112 9.3.2), whose responses wait for
 * their turn. A file's stream opens it at once, and a backend leaves it unread, so that
 * Node's own bound on pipelining, the bytes of the responses that wait, is never met.
 * Here further requests are held back instead, before their handlers run. The socket
 * is read on all the while: else nobody would hear that the client has left.
 */
export class Pipeline {
  readonly #socket: Socket
  /** Files whose responses wait for their turn. */
  readonly #files = new Set<ReadStream>()
  readonly #held: Array<() => void> = []
  #asksForFiles = false
  #handled = 0
  #stopsReading = false

  constructor (socket: Socket) {
    this.#socket = socket
    socket.once('close', () => {
      this.#held.length = 0
      // In the next tick Node has marked the requests as aborted.
      process.nextTick(() => {
        for (const stream of this.#files) stream.destroy()
      })
    })
  }

  /** Has a request that waits for its turn handled, by `handle`: now, or later if too many are. */
  admit (response: ServerResponse, handle: () => void): void {
    if (this.#held.length === 0 && this.#mayHandle()) {
      this.#count(response)
      return handle()
    }
    // Its turn comes after that of all that are handled, so one of them makes room.
    this.#held.push(AsyncResource.bind(() => {
      this.#count(response)
      handle()
    }))
    if (this.#isFull()) this.#stopReading()
  }

  /**
   * Calls `onTurn` when the response's turn has come. Node tells a response that never
   * gets its turn nothing of the connection's end: then the stream is destroyed.
   */
  awaitTurn (stream: ReadStream, response: ServerResponse, onTurn: () => void): void {
    // Not before 'close', with which the request becomes one that was aborted.
    if (this.#socket.closed) return process.nextTick(() => stream.destroy())
    this.#asksForFiles = true
    this.#files.add(stream)
    response.once('socket', () => {
      this.#files.delete(stream)
      // Node is not done with giving the response its socket.
      process.nextTick(onTurn)
    })
  }

  #mayHandle (): boolean {
    return !this.#asksForFiles || this.#handled < MAX_HANDLED
  }

  #isFull (): boolean {
    return this.#held.length >= MAX_HELD
  }

  #count (response: ServerResponse): void {
    this.#handled++
    response.once('socket', () => {
      this.#handled--
      process.nextTick(() => this.#handleHeld())
    })
  }

  #handleHeld (): void {
    const wasFull = this.#isFull()
    while (this.#held.length > 0 && this.#mayHandle()) this.#held.shift()!()
    if (wasFull && !this.#isFull()) this.#socket.resume()
  }

  /** Node's own way, its parser's pause, makes an error of the next TLS record of the same read. */
  #stopReading (): void {
    const socket = this.#socket
    socket.pause()
    if (this.#stopsReading) return
    this.#stopsReading = true
    // Node resumes whenever it is done with a request.
    socket.on('resume', () => {
      if (!this.#isFull()) return
      // Paused again before the event of a resume came: then only Node's listener of
      // this event knows how to stop.
      if (socket.isPaused()) socket.emit('pause')
      else socket.pause()
    })
  }
}
