import { ReadStream } from 'node:fs'
import { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Backend, FallbackReason, Support } from '../../types/index'
import type { Binding } from '../binding'
import type { Connection, Connections } from '../connection/connections'
import { chunkForText } from '../connection/parts'
import { isOptedOut, refuseRequest } from './decisions'
import type { Decisions } from './decisions'
import { FileBody } from './file-body'
import { offerFile } from './file-reply'
import type { FileReplyContext } from './file-reply'
import { onFinish } from './finish'
import { Promoter } from '../connection/promotion'
import { hasNoBody, pipesAsNodeDoes } from './routing'
import { refusePayload } from './payload'
import { isSmallBody, setMinSize } from './small-body'
import { isUnseen } from './unseen'
import type { Counters } from '../observe/stats'
import { BY_NODE } from '../way'

/** What is called for each request. */
export interface ReplyHooks {
  onRequest (request: FastifyRequest, reply: FastifyReply, next: () => void): void
  onSend (request: FastifyRequest, reply: FastifyReply, payload: unknown, next: (error?: null, payload?: unknown) => void): void
}

/** Counts each reply under the reason why it cannot be offloaded here. */
export function fallbackHooks (decisions: Decisions, reasonOf: (request: FastifyRequest) => FallbackReason): ReplyHooks {
  const hijacked = (request: FastifyRequest) => decisions.decide(request, BY_NODE, 'hijacked')
  return {
    onRequest: (request, reply, next) => {
      onFinish(request, reply, hijacked)
      next()
    },
    onSend: (request, _reply, _payload, next) => {
      decisions.decide(request, BY_NODE, reasonOf(request))
      next()
    }
  }
}

export interface Offload {
  readonly binding: Binding
  readonly support: Support
  /** Those that are there and allowed. */
  readonly backends: readonly Backend[]
  /** Why none of them can have a connection with TLS. */
  readonly tlsRefusal: FallbackReason | undefined
  readonly connections: Connections
  readonly counters: Counters
  readonly decisions: Decisions
  readonly minSize: number
}

/** Has files and large data sent by a backend wherever they can be. */
export function offloadHooks (fastify: FastifyInstance, { binding, support, backends, tlsRefusal, connections, counters, decisions, minSize }: Offload): ReplyHooks {
  setMinSize(fastify.server, minSize)
  const promoter = new Promoter(binding, support, backends, counters, fastify.log)
  const plainRefusal = backends.includes('plain') ? undefined : 'plain-http'

  const finished = (request: FastifyRequest) => {
    const connection = connections.of(request.raw.socket)
    connection?.transmit?.expect(undefined)
    if (decisions.isMade(request)) return
    // Something else than the response consumed the stream, or was written in the data's place; or the reply came past Fastify,
    // by reply.hijack() or reply.raw, so that onSend did not see it.
    const reason = decisions.isOffered(request) ? 'payload-wrapped' : 'hijacked'
    decisions.decide(request, connection?.way ?? BY_NODE, reason)
  }

  /** Returns what is to be sent in the payload's place. */
  const routeData = (request: FastifyRequest, reply: FastifyReply, connection: Connection, payload: unknown): unknown => {
    const { socket } = request.raw
    // Without TLS there is nothing to seal.
    const refusal = refusePayload(payload, socket instanceof TLSSocket ? binding.inlineBytes : Infinity)
    if (refusal !== undefined) return decisions.decide(request, connection.way, refusal)
    if (isOptedOut(request)) return decisions.decide(request, connection.way, 'route-opted-out')
    decisions.offer(request)
    onFinish(request, reply, finished)
    // A later hook may put something else in its place.
    const promote = () => promoter.promoteFor(connection, socket, refusal => {
      if (refusal !== undefined) decisions.decide(request, connection.way, refusal)
      else connection.transmit!.expect({ payload, given: () => decisions.decide(request, connection.way, null) })
    })
    // Null while others have their turn on the connection.
    if (reply.raw.socket === null) reply.raw.once('socket', promote)
    else promote()
    if (typeof payload !== 'string' || connection.transmit?.active !== true || !isUnseen(reply)) return undefined
    // Node would make one string of head and text, and ask for its length once more.
    return chunkForText(payload)
  }

  /** The same. A kept file's body that is left as it is pipes its stream by itself. */
  const route = (request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown => {
    // An error's reply, after a decision on the reply that failed.
    if (decisions.isMade(request) || (payload instanceof FileBody && payload.isOffered)) return
    const { socket } = request.raw
    const refusal = refuseRequest(request) ?? (socket instanceof TLSSocket ? tlsRefusal : plainRefusal)
    if (refusal !== undefined) return decisions.decide(request, BY_NODE, refusal)
    const connection = connections.of(socket)
    if (connection === undefined) return decisions.decide(request, BY_NODE, 'not-captured')
    if (hasNoBody(request.method, reply.statusCode)) return decisions.decide(request, connection.way, 'no-body')
    const isFile = payload instanceof ReadStream || payload instanceof FileBody
    if (!isFile && !isSmallBody(payload)) return routeData(request, reply, connection, payload)
    if (isOptedOut(request)) return decisions.decide(request, connection.way, 'route-opted-out')
    if (payload instanceof ReadStream && !pipesAsNodeDoes(payload)) return decisions.decide(request, connection.way, 'stream-modified')
    if (connection.refusal !== undefined) return decisions.decide(request, connection.way, connection.refusal)
    if (!isFile) return decisions.decide(request, connection.way, 'too-small')
    decisions.offer(request)
    // A hook that is older than ours has replied: ours did not run.
    onFinish(request, reply, finished)
    const context: FileReplyContext = {
      binding,
      promoter,
      connection,
      minSize,
      isClosing: () => connections.closing,
      decided: reason => decisions.decide(request, reason === null ? { path: 'file', backend: connection.transmit!.backend } : connection.way, reason)
    }
    if (payload instanceof FileBody && payload.offer(reply, context)) return
    const stream = payload instanceof FileBody ? payload.toStream() : payload
    offerFile(stream, reply, context)
    return stream
  }

  return {
    onRequest: (request, reply, next) => {
      onFinish(request, reply, finished)
      // Most responses have their turn at once.
      const connection = reply.raw.socket === null ? connections.of(request.raw.socket) : undefined
      if (connection === undefined) next()
      else connection.pipeline.admit(reply.raw, next)
    },
    onSend: (request, reply, payload, next) => { next(null, route(request, reply, payload)) }
  }
}
