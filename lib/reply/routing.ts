import fs from 'node:fs'
import { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { FallbackReason } from '../../types/index'
import { closesItself, hasTrailers, isReading, readsAsNodeDoes, readsFromPosition, usesRealFs } from '../connection/internals'

/**
 * Why a stream's bytes cannot be had from its file alone; undefined: they can.
 * `held` says that it is paused by us.
 */
export function refuseStream (stream: fs.ReadStream, held = false): FallbackReason | undefined {
  if (!usesRealFs(stream)) return 'custom-fs'
  if (!readsAsNodeDoes(stream)) return 'stream-modified'
  if (stream.readableEncoding !== null) return 'stream-decoded'
  if (readsFromPosition(stream) && !closesItself(stream)) return 'stream-without-start'
  const consumed = stream.bytesRead > 0 || stream.readableLength > 0 || stream.readableEnded || isReading(stream)
  const flows = held ? stream.readableFlowing === true : stream.readableFlowing !== null
  const wanted = flows || stream.listenerCount('data') > 0 || stream.listenerCount('readable') > 0
  return consumed || wanted ? 'stream-in-use' : undefined
}

/** Whether nobody has replaced how the stream is piped. */
export function pipesAsNodeDoes (stream: fs.ReadStream): boolean {
  return stream.pipe === Readable.prototype.pipe
}

/** Whether nobody has replaced how the response is written, to compress its body, say, or its socket, to count what it sends. */
export function writesAsNodeDoes (response: ServerResponse): boolean {
  return response.write === ServerResponse.prototype.write && (response.socket === null || response.socket.write === Socket.prototype.write)
}

/** The same of its end. */
export function endsAsNodeDoes (response: ServerResponse): boolean {
  return response.end === ServerResponse.prototype.end
}

/** The same of its head, which one may change that does not expect it with a status and headers, or may look at as it is set. */
export function headsAsNodeDoes (response: ServerResponse): boolean {
  return response.writeHead === ServerResponse.prototype.writeHead && response.setHeader === ServerResponse.prototype.setHeader
}

export interface ResponseHead {
  readonly method: string
  readonly statusCode: number
  readonly headersSent: boolean
  readonly writesAsNodeDoes: boolean
  readonly hasTrailers: boolean
  readonly transferEncoding: unknown
  readonly strictContentLength: boolean
}

/** RFC 9110 6.4.1: these have no body, whatever their headers say. */
export function hasNoBody (method: string, statusCode: number): boolean {
  return method === 'HEAD' || statusCode === 304 || statusCode === 204
}

/** Why a response cannot have a file's bytes as its body. */
export function refuseResponse (head: ResponseHead): FallbackReason | undefined {
  if (head.headersSent) return 'headers-sent'
  if (hasNoBody(head.method, head.statusCode)) return 'no-body'
  if (!head.writesAsNodeDoes) return 'response-modified'
  if (head.hasTrailers) return 'trailers'
  if (head.transferEncoding !== undefined) return 'transfer-encoding'
  if (head.strictContentLength) return 'strict-content-length'
  return undefined
}

/** The same of a reply as it is now; `made` says that its head has just been made, by us, and `ends` whether it ends with the file. */
export function refuseReply ({ request, raw }: FastifyReply, { made = false, ends = true } = {}): FallbackReason | undefined {
  return refuseResponse({
    method: request.method,
    statusCode: raw.statusCode,
    headersSent: raw.headersSent && !made,
    writesAsNodeDoes: writesAsNodeDoes(raw),
    hasTrailers: !ends || hasTrailers(raw),
    transferEncoding: raw.chunkedEncoding ? 'chunked' : raw.getHeader('transfer-encoding'),
    strictContentLength: raw.strictContentLength
  })
}

export interface ByteRange {
  readonly offset: number
  readonly length: number
}

/** The part of a file of `size` bytes that lies between `start` and `end`, inclusive. */
export function rangeWithin (size: number, start: number, end: number): ByteRange {
  const stop = Math.min(end + 1, size)
  return { offset: start, length: Math.max(stop - start, 0) }
}

/** Why a body of `length` bytes is not sent under the headers that are set. */
export function refuseLength (length: number, contentLength: unknown): FallbackReason | undefined {
  return contentLength === undefined || String(contentLength) === String(length) ? undefined : 'content-length-mismatch'
}
