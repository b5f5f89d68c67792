import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import type { FallbackReason, Path, ReplyDecision } from '../types/index'

export const PENDING: ReplyDecision = Object.freeze({ offloaded: false, path: null, version: null, cipher: null, reason: 'pending' })

/** What `request.ktls` says of a plugin that does nothing. */
export const OFF: ReplyDecision = Object.freeze({ offloaded: false, path: 'node', version: null, cipher: null, reason: 'off' })

/** By which path a request's reply goes, for good. `reason` is null for sendfile. */
export function decision (request: FastifyRequest, path: Path, reason: FallbackReason | null): ReplyDecision {
  const { socket } = request.raw
  const secure = socket instanceof TLSSocket
  return Object.freeze({
    offloaded: path === 'sendfile',
    path,
    version: secure ? socket.getProtocol() : null,
    cipher: secure ? socket.getCipher()?.standardName ?? null : null,
    reason
  })
}

/** Why no reply to this request can be offloaded, whatever it is. */
export function refuseRequest (request: FastifyRequest): FallbackReason | undefined {
  if (request.routeOptions.config.ktls === false) return 'route-opted-out'
  if (request.raw.httpVersionMajor === 2) return 'http2'
  const socket: unknown = request.raw.socket
  if (socket instanceof TLSSocket) return undefined
  return socket instanceof Socket ? 'plain-http' : 'inject'
}
