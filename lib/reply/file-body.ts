import { EventEmitter } from 'node:events'
import type { ReadStream } from 'node:fs'
import type { FastifyReply } from 'fastify'
import type { FileReplyContext } from './file-reply'
import type { ByteRange } from './routing'
import { startTransfer } from './transfer'

interface Offer {
  readonly reply: FastifyReply
  readonly context: FileReplyContext
}

/**
 * A part of a file that somebody keeps open, as the payload of a reply whose onSend hooks do not see it: what Fastify wants of
 * a stream is here, its end or its error, at a fraction of what a stream costs.
 */
export class FileBody extends EventEmitter {
  readonly #fd: number
  readonly #range: ByteRange
  readonly #open: () => ReadStream
  #offer: Offer | undefined
  #stream: ReadStream | undefined

  /** `fd` is read in this turn of the event loop only; `open` makes a stream of the same bytes. */
  constructor (fd: number, range: ByteRange, open: () => ReadStream) {
    super()
    this.#fd = fd
    this.#range = range
    this.#open = open
  }

  get isOffered (): boolean {
    return this.#offer !== undefined
  }

  /** What goes in its place where nobody has taken the offer. */
  toStream (): ReadStream {
    return this.#open()
  }

  /** Has the reply sent by the connection's backend, if that can be now, without waiting for a disk or for other writes. */
  offer (reply: FastifyReply, context: FileReplyContext): boolean {
    const { binding, connection, promoter, minSize } = context
    const { socket, strictContentLength } = reply.raw
    if (socket === null || strictContentLength || this.#range.length < minSize) return false
    if (!binding.isCached(this.#fd, this.#range.offset) || promoter.promoteNow(connection, socket) !== undefined) return false
    this.#offer = { reply, context }
    return true
  }

  /** Fastify's call, in the same turn. */
  pipe (destination: NodeJS.WritableStream, options?: { end?: boolean }): NodeJS.WritableStream {
    if (this.#offer === undefined) return this.#pipeStream(destination, options)
    const { reply, context: { binding, connection, decided } } = this.#offer
    const fd = options?.end === false ? undefined : binding.duplicate(this.#fd)
    if (fd === undefined || fd < 0) {
      decided(fd === undefined ? 'trailers' : 'no-resources')
      connection.transmit!.release()
      return this.#pipeStream(destination, options)
    }
    decided(null)
    startTransfer(reply, connection.transmit!, { fd, ...this.#range }, () => {
      this.emit('end')
      reply.raw.end()
    })
    return destination
  }

  #pipeStream (destination: NodeJS.WritableStream, options?: { end?: boolean }): NodeJS.WritableStream {
    this.#stream = this.#open()
    for (const event of ['end', 'error', 'close']) this.#stream.on(event, error => { this.emit(event, error) })
    return this.#stream.pipe(destination, options)
  }

  /** Fastify's call where the response has ended before. */
  destroy (): void {
    if (this.#stream === undefined) this.emit('close')
    else this.#stream.destroy()
  }
}
