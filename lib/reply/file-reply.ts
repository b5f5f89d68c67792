import fs from 'node:fs'
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { FallbackReason } from '../../types/index'
import type { Binding } from '../binding'
import { FST_KTLS_STREAM_CONSUMED } from '../errors'
import type { Connection } from '../connection/connections'
import { fileDescriptorOf, later, readsFromPosition, requestedRange, takeDescriptor } from '../connection/internals'
import type { Promoter } from '../connection/promotion'
import { endsAsNodeDoes, rangeWithin, refuseLength, refuseReply, refuseStream } from './routing'
import type { ByteRange } from './routing'
import { MAX_AT_ONCE } from './small-body'
import { startTransfer } from './transfer'
import type { Transfer } from './transfer'

/** What a file reply needs to know of its surroundings. */
export interface FileReplyContext {
  readonly binding: Binding
  readonly promoter: Promoter
  readonly connection: Connection
  readonly minSize: number
  /** Whether the server is about to close. */
  isClosing (): boolean
  /** Hears the decision, once: null for path 'file', else why not. */
  decided (refusal: FallbackReason | null): void
}

type PipeOptions = { end?: boolean }

const kOffer = Symbol('fastify-ktls.offer')

interface Offer {
  readonly reply: FastifyReply
  readonly context: FileReplyContext
  transfer?: Transfer
}

type OfferedStream = fs.ReadStream & { [kOffer]: Offer }

/**
 * Has the reply sent by the connection's backend once Fastify pipes `stream` into the
 * response. Every other consumer gets the ordinary stream.
 */
export function offerFile (stream: fs.ReadStream, reply: FastifyReply, context: FileReplyContext): void {
  const offer: Offer = { reply, context }
  Object.assign(stream, { [kOffer]: offer, pipe })
}

/*
 * The functions that streams are given are the same for all: with a function of its
 * own on each, whatever hangs on a stream outlived every scavenge (seen by --trace-gc,
 * Node 20).
 */

function pipe<T extends NodeJS.WritableStream> (this: fs.ReadStream, destination: T, options?: PipeOptions): T {
  const offer = (this as OfferedStream)[kOffer]
  if (destination as unknown !== offer.reply.raw) return Readable.prototype.pipe.call(this, destination, options) as T
  new FileReply(this, offer, options).start()
  return destination
}

/** In libuv's pool, which does not wait for the files of hung disks that are being sent. */
function closeInPool (fd: number): void {
  fs.close(fd, () => {})
}

function readNothing (this: fs.ReadStream): void {
  this.push(null)
}

/** Node closes a file in its thread pool, so that a stream's 'close' comes after a response's 'finish'. */
function destroyWithoutFile (error: Error | null, callback: (error: Error | null) => void): void {
  later(callback, error)
}

const BYTES_READ: PropertyDescriptor = {
  configurable: true,
  enumerable: true,
  get (this: OfferedStream) { return this[kOffer].transfer!.bytes }
}

class FileReply {
  readonly #stream: fs.ReadStream
  readonly #offer: Offer
  readonly #reply: FastifyReply
  readonly #response: ServerResponse
  readonly #context: FileReplyContext
  readonly #options: PipeOptions | undefined
  /** Nobody had read from the stream, and nobody should until the decision. */
  #held = false
  /** The Content-Length is ours. */
  #lengthIsSet = false

  constructor (stream: fs.ReadStream, offer: Offer, options: PipeOptions | undefined) {
    this.#stream = stream
    this.#offer = offer
    this.#reply = offer.reply
    this.#response = offer.reply.raw
    this.#context = offer.context
    this.#options = options
  }

  start (): void {
    const refusal = refuseStream(this.#stream) ?? this.#refuseResponse()
    if (refusal !== undefined) return this.#fallBack(refusal)
    // A listener that comes now must not have data flow past the response.
    this.#stream.pause()
    this.#held = true
    if (this.#response.socket !== null) return this.#awaitOpen()
    this.#context.connection.pipeline.awaitTurn(this.#stream, this.#response, () => this.#awaitOpen())
  }

  #awaitOpen (): void {
    if (this.#isOver()) return this.#leave()
    if (fileDescriptorOf(this.#stream) !== null) this.#examine()
    // After the listeners of 'ready', which may want the stream for themselves.
    else this.#stream.once('open', () => process.nextTick(() => this.#examine()))
  }

  /** `made` says that the head has just been made, by us. */
  #refuseResponse (made = false): FallbackReason | undefined {
    return refuseReply(this.#reply, { made, ends: this.#options?.end !== false })
  }

  /** A hook of the user's may have changed the head or the stream meanwhile. */
  #refuseLate (): FallbackReason | undefined {
    return refuseStream(this.#stream, true) ?? this.#refuseResponse()
  }

  #refuseLength ({ length }: ByteRange): FallbackReason | undefined {
    return refuseLength(length, this.#response.getHeader('content-length'))
  }

  /**
   * What counts is the size of the open file, not one from an earlier look by name.
   * sizeOf() does not ask a file server again, so it is believed where it agrees
   * with a Content-Length, which comes from such a question. Where there is none,
   * that question is asked here, of a small file together with its bytes.
   */
  #examine (asked = this.#response.hasHeader('content-length')): void {
    if (this.#isOver()) return this.#leave()
    const fd = fileDescriptorOf(this.#stream)!
    const size = this.#context.binding.sizeOf(fd)
    const { start, end } = requestedRange(this.#stream)
    const from = readsFromPosition(this.#stream) ? this.#context.binding.positionOf(fd) : 0
    const range = rangeWithin(size, from + start, from + end)
    const isSmall = range.length > 0 && range.length < this.#context.minSize
    if (!asked && !isSmall) {
      fs.fstat(fd, () => this.#examine(true))
      return
    }
    // Files of /proc and /sys have no blocks, and a size that says nothing.
    if (size < 0) return this.#fallBack('not-a-regular-file')
    const refusal = this.#refuseLength(range)
    if (refusal !== undefined) return this.#fallBack(refusal)
    if (range.length === 0) return this.#fallBack('too-small')
    if (isSmall) return this.#readSmall(fd, size, range, asked)
    if (this.#context.binding.isCached(fd, range.offset)) return this.#promote(range)
    this.#tryToRead(fd, range)
  }

  /**
   * A thread reads what the page cache has not, or where nobody can tell: overlayfs, as
   * containers have it, and Linux before 6.5.
   */
  #readSmall (fd: number, size: number, range: ByteRange, asked: boolean): void {
    if (range.length > MAX_AT_ONCE) return this.#fallBack('too-small')
    const { binding } = this.#context
    const body = Buffer.allocUnsafe(range.length)
    // What the page cache answers for has no close(2) that waits, as FUSE has; but the
    // last one frees the blocks of a file that was deleted.
    if (asked && binding.readCached(fd, range.offset, body)) return this.#sendSmall(range, body, size > MAX_AT_ONCE ? closeInPool : fs.closeSync)
    const reading = binding.read(fd, range.offset, body, size, whole => {
      if (this.#isOver()) this.#leave()
      else if (whole) this.#sendSmall(range, body, closeInPool)
      // It has changed, or the disk is bad: the stream tells.
      else this.#fallBack('too-small')
    })
    if (!reading) this.#fallBack('too-small')
  }

  /** Head and body in one write: for so few bytes the stream costs more than they do. */
  #sendSmall (range: ByteRange, body: Buffer, close: (fd: number) => void): void {
    const refusal = this.#refuseLate() ?? this.#refuseLength(range)
    if (refusal !== undefined) return this.#fallBack(refusal)
    if (!endsAsNodeDoes(this.#response)) return this.#fallBack('too-small')
    this.#context.decided('too-small')
    if (!this.#makeHead(range.length)) return
    this.#stream.bytesRead = range.length
    this.#endStream(() => { this.#response.end(body) })
    const fd = this.#takeDescriptor()
    if (fd !== undefined) close(fd)
  }

  /**
   * An error of the disk is still an ordinary error reply now. Later it would
   * cut the connection, for the head is sent with the first bytes.
   */
  #tryToRead (fd: number, range: ByteRange): void {
    const reading = this.#context.binding.read(fd, range.offset, Buffer.allocUnsafe(1), -1, readable => {
      if (this.#isOver()) this.#leave()
      else if (readable) this.#promote(range)
      else this.#fallBack('file-unreadable')
    })
    if (!reading) this.#fallBack('no-resources')
  }

  #promote (range: ByteRange): void {
    const { connection, promoter } = this.#context
    promoter.promote(connection, this.#response.socket!, refusal => {
      this.#sendOrNot(range, refusal)
      // Of a file that does not go after all.
      connection.transmit?.release()
    })
  }

  #sendOrNot (range: ByteRange, refusal: FallbackReason | undefined): void {
    if (this.#isOver()) return this.#leave()
    const late = refusal ?? this.#refuseLate() ?? this.#refuseLength(range)
    if (late !== undefined) this.#fallBack(late)
    else this.#send(range)
  }

  /** Only a head that is made tells what it says: on-headers, for one, changes it when it is. */
  #send (range: ByteRange): void {
    if (!this.#makeHead(range.length)) return
    const refusal = this.#refuseResponse(true) ?? this.#refuseLength(range)
    if (this.#isOver()) this.#leave()
    else if (refusal !== undefined) this.#fallBack(refusal)
    else this.#sendFile(range)
  }

  /** As a stream's first chunk has it made. False when that throws. */
  #makeHead (length: number): boolean {
    this.#setLength(length)
    try {
      this.#response.writeHead(this.#response.statusCode)
      return true
    } catch (error) {
      this.#fail(error)
      return false
    }
  }

  #sendFile (range: ByteRange): void {
    const fd = this.#takeDescriptor() ?? this.#context.binding.duplicate(fileDescriptorOf(this.#stream)!)
    if (fd < 0) return this.#fallBack('no-resources')
    // Who reads from the stream from now on finds its end.
    this.#stream._read = readNothing
    this.#context.decided(null)
    this.#offer.transfer = startTransfer(this.#reply, this.#context, { fd, ...range }, () => {
      // The application may have read it out meanwhile, which found its end.
      if (this.#stream.readableEnded) this.#response.end()
      else this.#endStream(() => { this.#response.end() })
    })
    Object.defineProperty(this.#stream, 'bytesRead', BYTES_READ)
  }

  #takeDescriptor (): number | undefined {
    const fd = takeDescriptor(this.#stream)
    if (fd !== undefined) this.#stream._destroy = destroyWithoutFile
    return fd
  }

  #setLength (length: number): void {
    if (this.#response.hasHeader('content-length')) return
    this.#response.setHeader('content-length', length)
    this.#lengthIsSet = true
  }

  /** As if it had been read to its end, which ends the response as pipe() would. */
  #endStream (endResponse: () => void): void {
    this.#stream.once('end', endResponse)
    this.#stream.push(null)
    this.#stream.resume()
  }

  #fallBack (reason: FallbackReason): void {
    this.#context.decided(reason)
    if (this.#stream.bytesRead > this.#stream.readableLength && this.#held) {
      this.#stream.destroy(new FST_KTLS_STREAM_CONSUMED())
      return
    }
    Readable.prototype.pipe.call(this.#stream, this.#response, this.#options)
  }

  /** The head cannot be written. Fastify has an error reply for it, of another length. */
  #fail (error: unknown): void {
    if (this.#lengthIsSet && !this.#response.headersSent) this.#response.removeHeader('content-length')
    this.#stream.destroy(error as Error)
  }

  #isOver (): boolean {
    return this.#stream.destroyed || this.#stream.readableEnded || this.#response.destroyed || this.#response.writableEnded
  }

  /** Fastify has seen the end of the stream or the response, and does the rest, but for one case. */
  #leave (): void {
    // A stream that somebody else has read to its end is no error to Fastify,
    // and the client would wait for ever.
    if (this.#stream.readableEnded && !this.#response.writableEnded) {
      this.#reply.log.warn({ err: new FST_KTLS_STREAM_CONSUMED() }, 'fastify-ktls: nothing is left to send')
      this.#response.destroy()
    }
  }
}
