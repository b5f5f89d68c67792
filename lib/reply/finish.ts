import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'

const kFinished = Symbol('fastify-ktls.finished')

type Awaited = IncomingMessage & { [kFinished]?: (() => void) | undefined }

let subscribed = false

/**
 * Calls `listener` once when the reply is handed over whole ('finish' of its response),
 * before any other listener of that, so before the onResponse hooks.
 *
 * An onResponse hook would do, but for one Fastify adds two listeners to each response,
 * some 4 microseconds: over HTTP/1.1 Node's own channel `http.server.response.finish`
 * tells the same. Its subscriber holds nothing: what is to be called hangs on the request.
 */
export function onFinish ({ raw }: FastifyRequest, reply: FastifyReply, listener: () => void): void {
  if (raw.httpVersionMajor !== 1 || !((raw.socket as unknown) instanceof Socket)) {
    // HTTP/2, or inject().
    reply.raw.prependOnceListener('finish', listener)
    return
  }
  if (!subscribed) subscribe('http.server.response.finish', message => tell((message as { request: Awaited }).request))
  subscribed = true;
  (raw as Awaited)[kFinished] = listener
}

function tell (request: Awaited): void {
  const listener = request[kFinished]
  if (listener === undefined) return
  request[kFinished] = undefined
  listener()
}
