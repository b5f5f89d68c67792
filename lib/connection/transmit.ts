import { AsyncResource } from 'node:async_hooks'
import type { Socket } from 'node:net'
import { constants } from 'node:os'
import type { Writable } from 'node:stream'
import { getSystemErrorName } from 'node:util'
import type { Backend } from '../../types/index'
import type { Binding, Failure, FileRange, Session, TransmitEvent, Transmitter } from '../binding'
import { FST_KTLS_BYPASSED, FST_KTLS_FILE_TRUNCATED } from '../errors'
import { CUT_WRITES_FAIL, bufferedChunks, bytesDispatched, endWithReply, endsWithReply, guardIdleTimer, isReceivingRequest, later, refreshIdleTimer } from './internals'
import { HeldWrites } from './held-writes'
import { chunkFor, isRange, partsOf, sizeOf, takeBack } from './parts'
import type { Chunk } from './parts'

type Callback = (error?: Error | null) => void

const { ECANCELED, ECONNRESET, EPIPE } = constants.errno

const ENODATA = -61

/** What fails when a file cannot be read: sendfile(2) in the kernel backend, read(2) and its kind in sender threads. */
const FILE_CALLS = new Set(['sendfile', 'read'])

/** What these give for the socket's sake (man 7 tcp, man 7 ip): sendfile(2), and Node's own read, which destroys the socket. */
const CONNECTION_ERRORS = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'])

/** What a write ends with that a destroy cuts off. */
function cutWrite (): Error | null {
  return CUT_WRITES_FAIL ? Object.assign(new Error('write ECANCELED'), { errno: -ECANCELED, code: 'ECANCELED', syscall: 'write' }) : null
}

/** Whether a failed write failed on this side, for the file's sake or OpenSSL's, and not for the client's. */
export function isOwnError (error: Error): boolean {
  if (error instanceof FST_KTLS_FILE_TRUNCATED) return true
  const { syscall = '', code = '' } = error as NodeJS.ErrnoException
  return syscall === 'seal' || (FILE_CALLS.has(syscall) && !CONNECTION_ERRORS.has(code))
}

/** Data that a sender has to seal. */
interface LargeData {
  readonly payload: unknown
  readonly given: () => void
}

/** Hears what befalls a promoted connection. */
export interface TransmitOwner {
  /** Its transmit key was changed, so many times. */
  keysUpdated (socket: Socket, count: number): void
  /** Its key is due for a change that cannot be made. */
  keyUsedUp (socket: Socket): void
  /** Something wrote past its Writable, and it ends with this error. */
  bypassed (error: Error): void
}

/**
 * Sends what a socket's Writable hands out through the connection's backend: with TLS
 * from the promotion on; without it for a file reply at a time, so that whoever else
 * has to do with the socket finds it as Node made it.
 */
export class Transmit {
  /** How the socket wrote, ended and was destroyed before. */
  readonly former: Former
  /** What is written while a promotion waits. */
  readonly held = new HeldWrites()
  readonly #binding: Binding
  readonly #socket: Socket
  readonly #owner: TransmitOwner
  #backend: Backend | undefined
  #transmitter: Transmitter | undefined
  #session: Session | undefined
  /** The Writable waits for one thing at a time. */
  #waiting: Callback | undefined
  #expected: LargeData | undefined
  /** Ranges on their way through the Writable; of these, how many the backend has been given. */
  #ranges = 0
  #rangesGiven = 0
  #submitted = 0
  #seenByTimer = 0
  /** Times in turn that the timer has seen nothing new. */
  #stalls = 0
  /** What the transmitters before the present one took. */
  #before = { data: 0, file: 0 }

  /** The one that a socket has already, by another Fastify instance to which its requests went. */
  static of (socket: Socket): Transmit | undefined {
    return (socket as Partial<TakenOver>)[kTransmit]
  }

  constructor (binding: Binding, socket: Socket, owner: TransmitOwner) {
    this.former = takeOver(socket, this)
    this.#binding = binding
    this.#socket = socket
    this.#owner = owner
    guardIdleTimer(socket, () => this.#progressed())
  }

  /** From now on the backend sends; `session` is that of a TLS connection. Nothing is on its way. */
  begin (transmitter: Transmitter, session?: Session): void {
    this.#backend = transmitter.backend
    this.#transmitter = transmitter
    this.#session = session
  }

  /** Once one has begun. */
  get backend (): Backend {
    return this.#backend!
  }

  /** Whether the backend sends now. */
  get active (): boolean {
    return this.#transmitter !== undefined
  }

  /** Gives a connection without TLS back to Node, unless something is on its way, or its end has begun. */
  release (): void {
    if (this.#session !== undefined || this.#transmitter === undefined) return
    if (this.#ranges > 0 || this.#waiting !== undefined || this.#socket.writableEnded || this.#socket.destroyed) return
    this.#before = { data: this.dataBytes, file: this.fileBytes }
    // Its thread may be about to see that all is done: the socket has what was taken.
    this.#transmitter.abort()
    this.#transmitter = undefined
  }

  /** Bytes that went by Node. */
  get nodeBytes (): number {
    return bytesDispatched(this.#socket)
  }

  get dataBytes (): number {
    return this.#before.data + (this.#transmitter?.dataBytes ?? 0)
  }

  get fileBytes (): number {
    return this.#before.file + (this.#transmitter?.fileBytes ?? 0)
  }

  /**
   * Has the backend send a range of a file, in the order of the socket's writes. Closes
   * the range's descriptor. `callback` is called when the backend has taken all of it,
   * when the socket is destroyed, or with the error: FST_KTLS_FILE_TRUNCATED when the
   * file is shorter, else the system call's.
   */
  sendRange (range: FileRange, callback: Callback): void {
    const chunk = chunkFor(range)
    this.#ranges++
    this.#socket.write(chunk, error => {
      if (takeBack(chunk)) {
        this.#binding.close(range.fd)
        // Something between has put another chunk in its place: the body is lost.
        if (error == null && !this.#socket.destroyed) error = this.#lose()
      }
      const isCut = this.#socket.destroyed && (error as NodeJS.ErrnoException | null | undefined)?.code === 'ECANCELED'
      callback(isCut ? null : error)
    })
  }

  #lose (): Error {
    const error = new FST_KTLS_BYPASSED()
    this.#owner.bypassed(error)
    this.#socket.destroy(error)
    return error
  }

  /** An event of a transmitter's; that of a former one is not about the present. */
  hear (transmitter: Transmitter | undefined, event: TransmitEvent, number: number, call: string): void {
    if (transmitter !== this.#transmitter) return
    if (event === 'settled') this.#settled(number === 0 ? null : this.#toError({ error: number, call }))
    // In a turn of its own, in which one answer does for all that the client has asked before.
    else if (event === 'key-due') this.#transmitter!.updateKey()
    else if (event === 'key-updated') this.#owner.keysUpdated(this.#socket, number)
    else if (event === 'key-used-up') this.#keyUsedUp()
    else if (event === 'bypassed') this.#lose()
  }

  #settled (error: Error | null): void {
    refreshIdleTimer(this.#socket)
    // A record of the TLS layer's own has failed. That of the end nobody hears of, as in Node.
    if (error !== null && this.#waiting === undefined && !this.#socket.writableEnded) this.#socket.destroy(error)
    this.#answer(error)
    if (error === null) this.#taken()
  }

  /** The backend has taken what it was given. What follows a file is Node's again, but for the connection's end, which the queue sees through. */
  #taken (): void {
    this.#ranges -= this.#rangesGiven
    this.#rangesGiven = 0
    if (!endsWithReply(this.#socket)) this.release()
  }

  /**
   * The key cannot be changed. The reply under way is finished under the
   * present one, and then the connection ends; RFC 8446 4.6.3 would have it end
   * at once, to a client that asked for new keys and a file cut off.
   */
  #keyUsedUp (): void {
    this.#owner.keyUsedUp(this.#socket)
    if (!endWithReply(this.#socket)) this.#socket.destroySoon()
  }

  destroy (error: Error | null, callback: Callback): void {
    // Drops what the backend has not taken; what was reported as written still goes out.
    this.#transmitter!.abort()
    this.former._destroy.call(this.#socket, error, callback)
    const waiting = this.#waiting
    if (waiting === undefined) return
    this.#waiting = undefined
    this.#transmitter!.unref()
    // As of Node's, which ends with the handle.
    later(waiting, cutWrite())
  }

  send (chunks: readonly Chunk[], callback: Callback): void {
    refreshIdleTimer(this.#socket)
    const parts = partsOf(chunks, this.#expected?.payload, this.#binding)
    if (parts.length === 0) return callback(null)
    for (const part of parts) {
      const { length } = part
      this.#submitted += length
      if (isRange(part)) this.#rangesGiven++
      else if (length > this.#binding.inlineBytes) this.#largeDataGiven()
    }
    this.#await(this.#transmitter!.send(parts), callback)
  }

  /**
   * Has a reply's payload read from where it lies, and tells once when the backend is given data that a sender seals. Of
   * several the last one; `undefined` once the reply has finished without.
   */
  expect (data: LargeData | undefined): void {
    this.#expected = data
  }

  #largeDataGiven (): void {
    const data = this.#expected
    this.#expected = undefined
    data?.given()
  }

  /** RFC 8446 6.1: close_notify, then the end of the sending side; told of in a later turn of the event loop, as libuv does. */
  end (callback: Callback): void {
    this.#session?.closeNotify()
    this.#await(this.#transmitter!.shutdown(isReceivingRequest(this.#socket)), () => later(callback))
  }

  #await (outcome: boolean | Failure, callback: Callback): void {
    if (outcome === true) {
      this.#taken()
      return callback(null)
    }
    if (outcome !== false) return callback(this.#toError(outcome))
    // The answer comes from the native part, outside of the caller's context.
    this.#waiting = AsyncResource.bind(callback)
    this.#transmitter!.ref()
  }

  /**
   * The error that Node's own write would have given; that of a file names the call that
   * reads it. A sendfile(2) that has sent a part tells nobody of a reset, and the next
   * gives EPIPE; TCP itself has that only for a client that had ended its side before.
   * A Unix socket has no other.
   */
  #toError ({ error, call }: Failure): Error {
    if (error === ENODATA && FILE_CALLS.has(call)) return new FST_KTLS_FILE_TRUNCATED()
    const { readableEnded, localAddress } = this.#socket
    const wasReset = error === -EPIPE && call === 'sendfile' && !readableEnded && localAddress !== undefined
    const errno = wasReset ? -ECONNRESET : error
    const code = getSystemErrorName(errno)
    const syscall = call === 'sendmsg' || CONNECTION_ERRORS.has(code) ? 'write' : call
    return Object.assign(new Error(`${syscall} ${code}`), { errno, code, syscall })
  }

  /** In a tick of its own, where what a callback throws is an uncaught exception as ever. */
  #answer (error: Error | null): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    this.#waiting = undefined
    this.#transmitter!.unref()
    process.nextTick(waiting, error)
  }

  /** As Node counts: all that was handed on, and what still waits in the Writable. */
  get bytesWritten (): number {
    let bytes = this.nodeBytes + this.#submitted + this.held.bytes
    for (const chunk of bufferedChunks(this.#socket)) bytes += sizeOf(chunk)
    return bytes
  }

  /**
   * Whether a transfer is under way and may be moving: TCP can take a megabyte and more
   * at a time, so one idle time without any is let pass, as Node does once its queue has shrunk.
   */
  #progressed (): boolean {
    if (this.#waiting === undefined) return false
    const seen = this.#seenByTimer
    this.#seenByTimer = this.dataBytes + this.fileBytes
    this.#stalls = this.#seenByTimer === seen ? this.#stalls + 1 : 0
    return this.#stalls < 2
  }
}

const kTransmit = Symbol('fastify-ktls.transmit')

type TakenOver = Socket & { [kTransmit]: Transmit }

/** The documented methods that a Writable's implementation consists of. */
interface Former {
  readonly _write: Writable['_write']
  readonly _writev: NonNullable<Writable['_writev']>
  readonly _final: Writable['_final']
  readonly _destroy: Writable['_destroy']
}

function takeOver (socket: Socket, transmit: Transmit): Former {
  const { _write, _writev, _final, _destroy } = socket
  Object.assign(socket, { [kTransmit]: transmit })
  Object.defineProperties(socket, TAKEN_OVER)
  return { _write, _writev: _writev!, _final, _destroy }
}

function method (value: (this: TakenOver, ...args: never[]) => void): PropertyDescriptor {
  return { value, configurable: true, writable: true }
}

/**
 * The same functions for all sockets: with accessors of its own each would be of a
 * shape of its own to V8, and all of Node's code that meets sockets slower.
 */
const TAKEN_OVER: PropertyDescriptorMap = {
  _write: method(function (chunk: Uint8Array | string, encoding: BufferEncoding, callback: Callback) {
    const transmit = this[kTransmit]
    if (transmit.held.keep([{ chunk, encoding }], ([copy]) => this._write(copy!.chunk, encoding, callback))) return
    if (transmit.active) transmit.send([{ chunk, encoding }], callback)
    else transmit.former._write.call(this, chunk, encoding, callback)
  }),
  _writev: method(function (chunks: Chunk[], callback: Callback) {
    const transmit = this[kTransmit]
    if (transmit.held.keep(chunks, copies => this._writev!(copies, callback))) return
    if (transmit.active) transmit.send(chunks, callback)
    else transmit.former._writev.call(this, chunks, callback)
  }),
  _final: method(function (callback: Callback) {
    const transmit = this[kTransmit]
    if (transmit.active) transmit.end(callback)
    else transmit.former._final.call(this, callback)
  }),
  _destroy: method(function (error: Error | null, callback: Callback) {
    const transmit = this[kTransmit]
    if (transmit.active) transmit.destroy(error, callback)
    else {
      transmit.held.handOn()
      transmit.former._destroy.call(this, error, callback)
    }
  }),
  bytesWritten: { configurable: true, get (this: TakenOver) { return this[kTransmit].bytesWritten } }
}
