/*
 * Every Node internal that the plugin touches, named once. Checked on Node
 * 20.20, 22.23, 24.9 and 26.9.
 */
import fs from 'node:fs'
import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Server } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { isMainThread } from 'node:worker_threads'

/** In a later turn of the event loop, by setImmediate() as it was before anybody replaced it: tests that hold the clock still do. */
export const later = setImmediate

const [major, minor] = process.versions.node.split('.').map(Number) as [number, number]

/** Whether a write fails that a destroy cuts off: before Node 22.7 it ended as if it had not. */
export const CUT_WRITES_FAIL = major > 22 || (major === 22 && minor >= 7)

interface InternalSocket {
  /** The TCP socket below a TLSSocket. */
  _parent?: unknown
  _handle?: { fd?: unknown, writeQueueSize?: unknown } | null
  /** The server that accepted a socket. */
  server?: unknown
  _bytesDispatched: number
  _unrefTimer?: () => void
  _onTimeout: () => void
  /** The response that has its turn on the connection. */
  _httpMessage?: { shouldKeepAlive: boolean, _last: boolean } | null
  /** Reads requests, and has the one that is being read or was read last. */
  parser?: { incoming?: { complete: boolean } | null } | null
  /** Chunks that wait in the Writable. */
  writableBuffer?: ReadonlyArray<{ chunk: Uint8Array | string, encoding: BufferEncoding }>
}

function internal (socket: Socket): InternalSocket {
  return socket as unknown as InternalSocket
}

export function tcpSocketOf (socket: TLSSocket): Socket | undefined {
  const parent = internal(socket)._parent
  return parent instanceof Socket ? parent : undefined
}

export function serverOf (socket: Socket): Server | undefined {
  return internal(socket).server as Server | undefined
}

/** What each server was made with, once it has been asked: to look costs as much as the rest of a capture. */
const traced = new WeakMap<Server, boolean>()

/** Whether the server has OpenSSL trace its connections, by the option `enableTrace` or, without it, Node's own. */
export function tracesConnections (server: Server): boolean {
  let traces = traced.get(server)
  if (traces === undefined) traced.set(server, traces = isMadeToTrace(server))
  return traces
}

function isMadeToTrace (server: Server): boolean {
  const key = Object.getOwnPropertySymbols(server).find(symbol => symbol.description === 'enableTrace')
  const option = key === undefined ? undefined : (server as unknown as Record<symbol, unknown>)[key]
  return typeof option === 'boolean' ? option : TRACES_ALL
}

const TRACES_ALL = hasFlag('--trace-tls', process.env.NODE_OPTIONS, process.execArgv)

/** Whether Node runs with a flag; of several the last one counts, and NODE_OPTIONS come first (Node's documentation). */
export function hasFlag (flag: string, nodeOptions: string | undefined, execArgv: readonly string[]): boolean {
  const no = flag.replace('--', '--no-')
  const given = [...(nodeOptions ?? '').split(/[\s"]+/), ...execArgv].map(option => option.replaceAll('_', '-'))
  return given.lastIndexOf(flag) > given.lastIndexOf(no)
}

/** The descriptor's number, good until control returns to the event loop. */
export function descriptorOf (socket: Socket): number | undefined {
  const fd = internal(socket)._handle?.fd
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}

/** Whether libuv has written all that it was given for the socket, by whomever. */
export function hasWrittenAll (socket: Socket): boolean {
  return internal(socket)._handle?.writeQueueSize === 0
}

/** Restarts the socket's idle timer, as Node does at each read and write. */
export function refreshIdleTimer (socket: Socket): void {
  internal(socket)._unrefTimer?.()
}

/** Lets a running idle timeout pass while `active()` holds. */
export function guardIdleTimer (socket: Socket, active: () => boolean): void {
  const onTimeout = internal(socket)._onTimeout
  internal(socket)._onTimeout = () => {
    if (active()) refreshIdleTimer(socket)
    else onTimeout.call(socket)
  }
  // A timer that runs already is bound to the former method.
  if (socket.timeout) socket.setTimeout(socket.timeout)
}

/**
 * Has Node's HTTP server end the connection with the reply that has its turn, as
 * "Connection: close" does; false when there is none.
 */
export function endWithReply (socket: Socket): boolean {
  const response = internal(socket)._httpMessage
  if (response === undefined || response === null) return false
  // Before its head is written, and after.
  response.shouldKeepAlive = false
  response._last = true
  return true
}

/** Whether the client has sent a part of a request, the head at least, and not all. */
export function isReceivingRequest (socket: Socket): boolean {
  return internal(socket).parser?.incoming?.complete === false
}

/** Whether the connection ends with the reply that has its turn, or has been told to end. */
export function endsWithReply (socket: Socket): boolean {
  return socket.writableEnded || internal(socket)._httpMessage?._last === true
}

/** Ends a connection that neither has a reply to send nor receives a request, and is not about to end. */
export function endIfIdle (socket: Socket): void {
  const response = internal(socket)._httpMessage ?? null
  if (response === null && !socket.writableEnded && !isReceivingRequest(socket)) socket.destroySoon()
}

/** Bytes that were given to the socket's handle. */
export function bytesDispatched (socket: Socket): number {
  return internal(socket)._bytesDispatched
}

export function bufferedChunks (socket: Socket): NonNullable<InternalSocket['writableBuffer']> {
  return internal(socket).writableBuffer ?? []
}

interface InternalReadStream {
  fd: number | null
  /** Whether the stream closes its descriptor. */
  autoClose: boolean
  /** What was opened, and with which flags; both absent on a stream over a given `fd`. */
  flags?: string
  start?: number
  /** The last byte's position, Infinity without one. */
  end: number
  _read: unknown
}

/** A file stream's descriptor, null before it is open. */
export function fileDescriptorOf (stream: fs.ReadStream): number | null {
  return (stream as unknown as InternalReadStream).fd
}

/**
 * Takes the descriptor from a stream that has opened it and would close it, as the
 * stream's own close does. Not in a worker: when that ends, Node closes by number
 * all that `fs` has opened there and not closed (`trackUnmanagedFds`).
 */
export function takeDescriptor (stream: fs.ReadStream): number | undefined {
  const internal = stream as unknown as InternalReadStream
  const { fd, autoClose, flags } = internal
  if (!isMainThread || !autoClose || flags === undefined || fd === null) return undefined
  internal.fd = null
  return fd
}

/** Has a new stream take `fd`, which it closes, in place of opening its file; all else is as if it had, in a later turn of the event loop. */
export function openAs (stream: fs.ReadStream, fd: number): fs.ReadStream {
  stream._construct = callback => {
    later(() => {
      (stream as unknown as InternalReadStream).fd = fd
      callback()
      stream.emit('open', fd)
      stream.emit('ready')
    })
  }
  return stream
}

/** Whether the stream was made over a descriptor or a FileHandle and reads from its position, which moves. */
export function readsFromPosition (stream: fs.ReadStream): boolean {
  const { flags, start } = stream as unknown as InternalReadStream
  return flags === undefined && start === undefined
}

/** Whether the stream closes its descriptor at its end, after which nobody can tell how far it was read. */
export function closesItself (stream: fs.ReadStream): boolean {
  return (stream as unknown as InternalReadStream).autoClose
}

/** First and last byte to read, the last one inclusive; from where the position is, of one that reads from it. */
export function requestedRange (stream: fs.ReadStream): { start: number, end: number } {
  const { start = 0, end } = stream as unknown as InternalReadStream
  return { start, end }
}

const nodeRead: unknown = (fs.ReadStream.prototype as unknown as InternalReadStream)._read

/** Whether reading is still Node's own method. */
export function readsAsNodeDoes (stream: fs.ReadStream): boolean {
  return (stream as unknown as InternalReadStream)._read === nodeRead
}

/** Node's own symbols for properties of a file stream, the same on all. */
const streamSymbols = new Map<string, symbol>()

function ownProperty (stream: fs.ReadStream, description: string): unknown {
  let symbol = streamSymbols.get(description)
  if (symbol === undefined) {
    symbol = Object.getOwnPropertySymbols(stream).find(one => one.description === description)
    if (symbol === undefined) return undefined
    streamSymbols.set(description, symbol)
  }
  return (stream as unknown as Record<symbol, unknown>)[symbol]
}

/** Whether the stream uses the real file system, by `fs` or by a FileHandle, not `options.fs`. */
export function usesRealFs (stream: fs.ReadStream): boolean {
  if (ownProperty(stream, 'kFs') === fs) return true
  const handle = ownProperty(stream, 'kHandle')
  return handle !== undefined && !Object.hasOwn(handle as object, 'read')
}

/** Whether a read of the stream's is under way in the thread pool, by the descriptor's number. */
export function isReading (stream: fs.ReadStream): boolean {
  return ownProperty(stream, 'kIsPerformingIO') !== false
}

/** Whether trailers are announced by a header, or were given by addTrailers(). */
export function hasTrailers (response: ServerResponse): boolean {
  return response.hasHeader('trailer') || Boolean((response as unknown as { _trailer?: string })._trailer)
}
