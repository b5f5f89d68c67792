import { EventEmitter } from 'node:events'
import type { ReadStream } from 'node:fs'
import { finished } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { FallbackReason } from '../../types/index'
import { later } from '../connection/internals'
import type { FileReplyContext } from './file-reply'
import { refuseReply } from './routing'
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
    const { socket } = reply.raw
    if (socket === null || this.#range.length < minSize || refuseReply(reply) !== undefined) return false
    if (!binding.isCached(this.#fd, this.#range.offset) || promoter.promoteNow(connection, socket) !== undefined) return false
    this.#offer = { reply, context }
    return true
  }

  /** Fastify's call, in the same turn. */
  pipe (destination: NodeJS.WritableStream, options?: { end?: boolean }): NodeJS.WritableStream {
    if (this.#offer === undefined) return this.#pipeStream(destination, options)
    const { reply, context } = this.#offer
    if (options?.end === false) return this.#leave('trailers', context, destination, options)
    const fd = context.binding.duplicate(this.#fd)
    if (fd < 0) return this.#leave('no-resources', context, destination, options)
    try {
      // As a stream's first chunk has it made.
      reply.raw.writeHead(reply.raw.statusCode)
    } catch (error) {
      context.binding.close(fd)
      context.connection.transmit!.release()
      this.emit('error', error)
      return destination
    }
    context.decided(null)
    startTransfer(reply, context, { fd, ...this.#range }, () => {
      this.emit('end')
      reply.raw.end()
    })
    return destination
  }

  #leave (reason: FallbackReason, { connection, decided }: FileReplyContext, destination: NodeJS.WritableStream, options?: { end?: boolean }): NodeJS.WritableStream {
    decided(reason)
    connection.transmit!.release()
    return this.#pipeStream(destination, options)
  }

  #pipeStream (destination: NodeJS.WritableStream, options?: { end?: boolean }): NodeJS.WritableStream {
    const stream = this.#stream = this.#open()
    finished(stream, { writable: false }, error => {
      if (error == null) this.emit('end')
      else this.emit('error', error)
    })
    return stream.pipe(destination, options)
  }

  /** Fastify's call where the response has ended before: as of a stream it hears that this was too early, in a later turn. */
  destroy (): void {
    if (this.#stream === undefined) later(() => { this.emit('error', Object.assign(new Error('Premature close'), { code: 'ERR_STREAM_PREMATURE_CLOSE' })) })
    else this.#stream.destroy()
  }
}
