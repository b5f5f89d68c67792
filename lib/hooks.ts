import { ReadStream } from 'node:fs'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { FallbackReason, Support } from '../types/index'
import type { Binding } from './binding'
import { Connections } from './connections'
import { refuseRequest } from './decisions'
import type { Decisions } from './decisions'
import { offerFile } from './file-reply'
import { Promoter } from './promotion'
import { pipesAsNodeDoes } from './routing'
import type { Counters } from './stats'

/** Counts each reply under the reason why it cannot be offloaded here. */
export function addFallbackHook (fastify: FastifyInstance, decisions: Decisions, reasonOf: (request: FastifyRequest) => FallbackReason): void {
  fastify.addHook('onSend', (request, _reply, _payload, next) => {
    decisions.decide(request, 'node', reasonOf(request))
    next()
  })
}

export interface Offload {
  readonly binding: Binding
  readonly support: Support
  readonly counters: Counters
  readonly decisions: Decisions
  readonly minSize: number
}

/** Has file replies sent by the kernel wherever they can be. */
export function addOffloadHooks (fastify: FastifyInstance, { binding, support, counters, decisions, minSize }: Offload): void {
  const connections = new Connections(fastify, binding, counters)
  const promoter = new Promoter(support, counters, fastify.log)
  const connectionOf = (request: FastifyRequest) => connections.of(request.raw.socket as TLSSocket)

  const route = (request: FastifyRequest, reply: FastifyReply, payload: unknown) => {
    const refusal = refuseRequest(request)
    const connection = refusal === undefined || refusal === 'route-opted-out' ? connectionOf(request) : undefined
    const path = connection?.path ?? 'node'
    if (refusal !== undefined) return decisions.decide(request, path, refusal)
    if (connection === undefined) return decisions.decide(request, path, 'not-captured')
    if (!(payload instanceof ReadStream)) return decisions.decide(request, path, 'payload-not-a-file')
    if (!pipesAsNodeDoes(payload)) return decisions.decide(request, path, 'stream-modified')
    if (connection.refusal !== undefined) return decisions.decide(request, path, connection.refusal)
    decisions.offer(request)
    offerFile(payload, reply, {
      binding,
      promoter,
      connection,
      minSize,
      decided: reason => decisions.decide(request, reason === null ? 'sendfile' : connection.path, reason)
    })
  }

  fastify.addHook('onSend', (request, reply, payload, next) => {
    route(request, reply, payload)
    next()
  })
  fastify.addHook('onResponse', (request, _reply, next) => {
    // Something else than the response consumed the stream.
    if (decisions.isOffered(request)) decisions.decide(request, connectionOf(request)?.path ?? 'node', 'payload-wrapped')
    next()
  })
}
