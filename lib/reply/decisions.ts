import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { FallbackReason, ReplyDecision } from '../../types/index'
import { publishFallback } from '../observe/channels'
import { debugs } from '../observe/log'
import type { Counters } from '../observe/stats'
import { BY_NODE } from '../way'
import type { Way } from '../way'

const kDecision = Symbol('fastify-ktls.decision')

/** Absent on requests of contexts that are older than the plugin. */
type DecidedRequest = FastifyRequest & { [kDecision]?: ReplyDecision | null }

export const PENDING: ReplyDecision = Object.freeze({ offloaded: false, path: null, backend: null, version: null, cipher: null, reason: 'pending' })
/** Pending, with a payload on its way that may go past Node. */
const OFFERED: ReplyDecision = Object.freeze({ ...PENDING })
export const OFF: ReplyDecision = Object.freeze({ offloaded: false, ...BY_NODE, version: null, cipher: null, reason: 'off' })

/** Has the requests of a context made with a place for the decision. */
export function declareDecision (context: FastifyInstance): void {
  if (!context.hasRequestDecorator(kDecision)) context.decorateRequest(kDecision, null)
}

/** Keeps for each request by which path its reply goes: `request.ktls`. */
export class Decisions {
  readonly #counters: Counters
  readonly #undecided: ReplyDecision
  /** The last decision on each connection: most are followed by their like. */
  readonly #last = new WeakMap<Socket, ReplyDecision>()

  constructor (counters: Counters, mode: 'auto' | 'require' | 'off') {
    this.#counters = counters
    this.#undecided = mode === 'off' ? OFF : PENDING
  }

  of (request: FastifyRequest): ReplyDecision {
    return (request as DecidedRequest)[kDecision] ?? this.#undecided
  }

  /** `reason` is null for what goes past the event loop. The first decision stands: an error reply can follow on a stream's. */
  decide (request: FastifyRequest, way: Way, reason: FallbackReason | null): void {
    if (this.isMade(request)) return
    const made = this.#decision(request, way, reason);
    (request as DecidedRequest)[kDecision] = made
    this.#counters.replied(way, reason)
    if (reason !== null && way.path !== 'file') publishFallback(request, way.path, reason)
    if (debugs(request.log)) request.log.debug({ ktls: made }, 'fastify-ktls: the path of a reply')
  }

  #decision (request: FastifyRequest, way: Way, reason: FallbackReason | null): ReplyDecision {
    const socket: unknown = request.raw.socket
    if (!(socket instanceof Socket)) return decision(way, reason, null)
    const last = this.#last.get(socket)
    // A connection has one backend, so the path tells it.
    if (last?.path === way.path && last.reason === reason) return last
    // A renegotiation can change the cipher.
    if (last === undefined && socket instanceof TLSSocket) socket.once('secure', () => this.#last.delete(socket))
    const made = decision(way, reason, last ?? protocolOf(socket))
    this.#last.set(socket, made)
    return made
  }

  offer (request: FastifyRequest): void {
    const decided = request as DecidedRequest
    decided[kDecision] ??= OFFERED
  }

  isMade (request: FastifyRequest): boolean {
    const decision = (request as DecidedRequest)[kDecision] ?? null
    return decision !== null && decision !== OFFERED
  }

  isOffered (request: FastifyRequest): boolean {
    return (request as DecidedRequest)[kDecision] === OFFERED
  }
}

type Protocol = Pick<ReplyDecision, 'version' | 'cipher'>

/** Asking OpenSSL costs as much as some replies do. */
function protocolOf (socket: Socket): Protocol | null {
  if (!(socket instanceof TLSSocket)) return null
  // Both undefined once the socket is destroyed, whatever the types say.
  return { version: socket.getProtocol() ?? null, cipher: socket.getCipher()?.standardName ?? null }
}

/** What `request.ktls` says of a decision; without TLS there is no protocol. */
export function decision ({ path, backend }: Way, reason: FallbackReason | null, protocol: Protocol | null): ReplyDecision {
  return Object.freeze({
    offloaded: reason === null,
    path,
    backend,
    version: protocol?.version ?? null,
    cipher: protocol?.cipher ?? null,
    reason
  })
}

/** Why no reply to this request can be offloaded, whatever it is. */
export function refuseRequest ({ raw: { httpVersionMajor, socket } }: FastifyRequest): FallbackReason | undefined {
  if (httpVersionMajor === 2) return 'http2'
  return (socket as unknown) instanceof Socket ? undefined : 'inject'
}

/** Whether the route's `config: { ktls: false }` keeps its files with Node. Fastify makes an object for each look. */
export function isOptedOut (request: FastifyRequest): boolean {
  return request.routeOptions.config.ktls === false
}
