import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'

const kFinished = Symbol('fastify-ktls.finished')

type Listener = (request: FastifyRequest) => void
/** `upgrade` is not in the types: it came with Upgrade or CONNECT, and there is a listener for it. */
type Awaited = IncomingMessage & { upgrade?: boolean, [kFinished]?: { readonly request: FastifyRequest, readonly listener: Listener } | undefined }

let subscribed = false

/**
 * Calls `listener` once when the reply is handed over whole ('finish' of its response),
 * before any other listener of that, so before the onResponse hooks.
 *
 * An onResponse hook would do, but for one Fastify adds two listeners to each response,
 * some 4 microseconds: Node's own channel `http.server.response.finish` tells the same. Its
 * subscriber holds nothing: what is to be called hangs on the request.
 */
export function onFinish (request: FastifyRequest, reply: FastifyReply, listener: Listener): void {
  const raw: Awaited = request.raw
  const awaited = raw[kFinished]
  if (awaited?.request === request) return
  if (awaited !== undefined || !isNodes(raw, reply)) {
    reply.raw.prependOnceListener('finish', () => listener(request))
    return
  }
  if (!subscribed) subscribe('http.server.response.finish', message => tell((message as { request: Awaited }).request))
  subscribed = true
  raw[kFinished] = { request, listener }
}

/**
 * Whether Node's HTTP server made the response, and listens to it: not for HTTP/2 and
 * inject(), and not where the application does for an upgrade, as @fastify/websocket.
 */
function isNodes ({ httpVersionMajor, socket, upgrade }: Awaited, reply: FastifyReply): boolean {
  return httpVersionMajor === 1 && !upgrade && (socket as unknown) instanceof Socket && reply.raw.listenerCount('finish') > 0
}

function tell (raw: Awaited): void {
  const awaited = raw[kFinished]
  if (awaited === undefined) return
  raw[kFinished] = undefined
  awaited.listener(awaited.request)
}
