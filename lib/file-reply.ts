import fs from 'node:fs'
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { FastifyReply } from 'fastify'
import type { FallbackReason } from '../types/index'
import type { Binding } from './binding'
import { FST_KTLS_STREAM_CONSUMED } from './errors'
import type { Connection } from './connections'
import { fileDescriptorOf, requestedRange } from './internals'
import type { Promoter } from './promotion'
import { rangeWithin, refuseLength, refuseResponse, refuseStream } from './routing'
import type { ByteRange } from './routing'
import { isFileError, writeFile } from './transmit'

/** What a file reply needs to know of its surroundings. */
export interface FileReplyContext {
  readonly binding: Binding
  readonly promoter: Promoter
  readonly connection: Connection
  readonly minSize: number
  /** Hears the decision, once: null for sendfile, else why not. */
  decided (refusal: FallbackReason | null): void
}

type PipeOptions = { end?: boolean }

/**
 * Has the reply sent by the kernel once Fastify pipes `stream` into the
 * response. Every other consumer gets the ordinary stream.
 */
export function offerFile (stream: fs.ReadStream, reply: FastifyReply, context: FileReplyContext): void {
  stream.pipe = function pipe<T extends NodeJS.WritableStream> (destination: T, options?: PipeOptions): T {
    if (destination as unknown !== reply.raw) return Readable.prototype.pipe.call(stream, destination, options) as T
    new FileReply(stream, reply, context, options).start()
    return destination
  }
}

class FileReply {
  readonly #stream: fs.ReadStream
  readonly #reply: FastifyReply
  readonly #response: ServerResponse
  readonly #context: FileReplyContext
  readonly #options: PipeOptions | undefined
  /** Our duplicate of the stream's descriptor, until the kernel's queue owns it. */
  #fd: number | undefined
  /** Nobody had read from the stream, and nobody should until the decision. */
  #held = false

  constructor (stream: fs.ReadStream, reply: FastifyReply, context: FileReplyContext, options: PipeOptions | undefined) {
    this.#stream = stream
    this.#reply = reply
    this.#response = reply.raw
    this.#context = context
    this.#options = options
  }

  start (): void {
    const refusal = refuseStream(this.#stream) ?? this.#refuseResponse()
    if (refusal !== undefined) return this.#fallBack(refusal)
    // A listener that comes now must not have data flow past the response.
    this.#stream.pause()
    this.#held = true
    if (this.#response.socket !== null) return this.#awaitOpen()
    this.#context.connection.awaitTurn(this.#stream, this.#response, () => this.#awaitOpen())
  }

  #awaitOpen (): void {
    if (this.#isOver()) return this.#leave()
    if (fileDescriptorOf(this.#stream) !== null) this.#examine()
    else this.#stream.once('open', () => this.#examine())
  }

  #refuseResponse (): FallbackReason | undefined {
    const response = this.#response
    const contentLength = response.getHeader('content-length')
    return refuseResponse({
      method: this.#reply.request.method,
      statusCode: response.statusCode,
      headersSent: response.headersSent,
      endsWithPayload: this.#options?.end !== false,
      transferEncoding: response.getHeader('transfer-encoding'),
      strictContentLength: response.strictContentLength
    }) ?? (contentLength === undefined ? undefined : refuseLength(Number(contentLength), contentLength, this.#context.minSize))
  }

  /** What counts is the size of the open file, not one from an earlier look by name. */
  #examine (): void {
    if (this.#isOver()) return this.#leave()
    const fd = this.#context.binding.duplicate(fileDescriptorOf(this.#stream)!)
    if (fd < 0) return this.#fallBack('no-resources')
    this.#fd = fd
    fs.fstat(fd, (error, stats) => {
      if (this.#isOver()) return this.#leave()
      // Files of /proc and /sys have no blocks, and a size that says nothing.
      if (error !== null || !stats.isFile() || stats.blocks === 0) return this.#fallBack('not-a-regular-file')
      const { start, end } = requestedRange(this.#stream)
      const range = rangeWithin(stats.size, start, end)
      const refusal = refuseLength(range.length, this.#response.getHeader('content-length'), this.#context.minSize)
      if (refusal !== undefined) return this.#fallBack(refusal)
      this.#tryToRead(range)
    })
  }

  /**
   * An error of the disk is still an ordinary error reply now. Later it would
   * cut the connection, for the head goes to the kernel with the first bytes.
   */
  #tryToRead (range: ByteRange): void {
    const wanted = Math.min(1, range.length)
    if (wanted === 0 || this.#context.binding.isCached(this.#fd!, range.offset)) return this.#promote(range)
    fs.read(this.#fd!, Buffer.alloc(1), 0, wanted, range.offset, (error, bytesRead) => {
      if (this.#isOver()) return this.#leave()
      if (error !== null || bytesRead < wanted) return this.#fallBack('file-unreadable')
      this.#promote(range)
    })
  }

  #promote (range: ByteRange): void {
    const socket = this.#response.socket as TLSSocket
    this.#context.promoter.promote(this.#context.connection, socket, refusal => {
      if (this.#isOver()) return this.#leave()
      // A hook of the user's may have changed the head or the stream meanwhile.
      const late = refusal ?? refuseStream(this.#stream, true) ?? this.#refuseResponse()
      if (late !== undefined) this.#fallBack(late)
      else this.#send(socket, range)
    })
  }

  #send (socket: TLSSocket, range: ByteRange): void {
    const fd = this.#fd!
    this.#fd = undefined
    this.#context.decided(null)
    if (!this.#response.hasHeader('content-length')) this.#response.setHeader('content-length', range.length)
    // Corked, so that the queue gets head and file in one go.
    socket.cork()
    this.#response.flushHeaders()
    writeFile(socket, { fd, ...range }, error => this.#sent(socket, error))
    socket.uncork()
  }

  #sent (socket: TLSSocket, error: Error | null | undefined): void {
    if (error != null) {
      // The Writable destroys the socket. That a client left, Fastify logs itself.
      if (isFileError(error)) this.#reply.log.warn({ err: error }, 'fastify-ktls: the file could not be sent whole')
      return
    }
    if (socket.destroyed || this.#isOver()) return
    // As if it had been read to its end.
    this.#stream.push(null)
    this.#stream.resume()
    this.#response.end()
  }

  #fallBack (reason: FallbackReason): void {
    this.#release()
    this.#context.decided(reason)
    if (this.#stream.bytesRead > this.#stream.readableLength && this.#held) {
      this.#stream.destroy(new FST_KTLS_STREAM_CONSUMED())
      return
    }
    Readable.prototype.pipe.call(this.#stream, this.#response, this.#options)
  }

  #isOver (): boolean {
    return this.#stream.destroyed || this.#response.destroyed || this.#response.writableEnded
  }

  /** Fastify has seen the end of the stream or the response, and does the rest. */
  #leave (): void {
    this.#release()
    // But a stream that somebody else has read to its end is no error to Fastify,
    // and the client would wait for ever.
    if (this.#stream.readableEnded && !this.#response.writableEnded) {
      this.#reply.log.warn({ err: new FST_KTLS_STREAM_CONSUMED() }, 'fastify-ktls: nothing is left to send')
      this.#response.destroy()
    }
  }

  #release (): void {
    if (this.#fd === undefined) return
    fs.close(this.#fd)
    this.#fd = undefined
  }
}
