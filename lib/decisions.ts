import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { FallbackReason, Path, ReplyDecision } from '../types/index'
import type { Counters } from './stats'

const kDecision = Symbol('fastify-ktls.decision')

type DecidedRequest = FastifyRequest & { [kDecision]: ReplyDecision | null }

export const PENDING: ReplyDecision = Object.freeze({ offloaded: false, path: null, version: null, cipher: null, reason: 'pending' })
/** Pending, with a file stream on its way that may go by sendfile. */
const OFFERED: ReplyDecision = Object.freeze({ ...PENDING })
export const OFF: ReplyDecision = Object.freeze({ offloaded: false, path: 'node', version: null, cipher: null, reason: 'off' })

/** Keeps for each request by which path its reply goes: `request.ktls`. */
export class Decisions {
  readonly #counters: Counters

  constructor (fastify: FastifyInstance, counters: Counters, mode: 'auto' | 'require' | 'off') {
    this.#counters = counters
    const undecided = mode === 'off' ? OFF : PENDING
    fastify.decorateRequest(kDecision, null)
    fastify.decorateRequest('ktls', {
      getter () { return (this as DecidedRequest)[kDecision] ?? undecided }
    })
  }

  /** `reason` is null for sendfile. The first decision stands: an error reply can follow on a stream's. */
  decide (request: FastifyRequest, path: Path, reason: FallbackReason | null): void {
    const decided = request as DecidedRequest
    if (decided[kDecision] !== null && decided[kDecision] !== OFFERED) return
    decided[kDecision] = decision(request, path, reason)
    this.#counters.replied(path, reason)
  }

  offer (request: FastifyRequest): void {
    const decided = request as DecidedRequest
    decided[kDecision] ??= OFFERED
  }

  isOffered (request: FastifyRequest): boolean {
    return (request as DecidedRequest)[kDecision] === OFFERED
  }
}

/** What `request.ktls` says of a decision. */
export function decision (request: FastifyRequest, path: Path, reason: FallbackReason | null): ReplyDecision {
  const { socket } = request.raw
  const secure = socket instanceof TLSSocket
  return Object.freeze({
    offloaded: path === 'sendfile',
    path,
    version: secure ? socket.getProtocol() : null,
    // Undefined once the socket is destroyed, whatever the types say.
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
