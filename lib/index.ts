import { ReadStream } from 'node:fs'
import { Server as TlsServer } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { FallbackReason, FastifyKtlsOptions, Path, ReplyDecision, Support } from '../types/index'
import { Connections } from './connections'
import { OFF, PENDING, decision, refuseRequest } from './decisions'
import { FST_KTLS_UNAVAILABLE } from './errors'
import { offerFile } from './file-reply'
import { parseOptions } from './options'
import type { Settings } from './options'
import { Promoter } from './promotion'
import { pipesAsNodeDoes } from './routing'
import { startBinding } from './start'
import { Counters } from './stats'
import { SWITCHED_OFF, detect } from './support'

const kDecision = Symbol('fastify-ktls.decision')

type KtlsRequest = FastifyRequest & { [kDecision]: ReplyDecision | null }

const plugin: FastifyPluginCallback<FastifyKtlsOptions> = (fastify, options, done) => {
  let settings: Settings
  try {
    settings = parseOptions({ ...options })
  } catch (error) {
    // What a plugin with a callback throws would end the process.
    return done(error as Error)
  }
  const { mode, minSize } = settings
  const { support, binding } = mode === 'off' ? SWITCHED_OFF : detect()
  const secure = fastify.server instanceof TlsServer
  if (mode === 'require' && !support.available) return done(new FST_KTLS_UNAVAILABLE(support.reason!, support.detail!))
  if (mode === 'require' && !secure) return done(new FST_KTLS_UNAVAILABLE('plain-http', 'this Fastify instance has no "https" option'))

  const counters = new Counters()
  fastify.decorate('ktls', { support, stats: () => counters.snapshot() })
  fastify.decorateRequest(kDecision, null)
  fastify.decorateRequest('ktls', {
    getter () { return (this as KtlsRequest)[kDecision] ?? (mode === 'off' ? OFF : PENDING) }
  })
  if (mode === 'off') return done()
  announce(fastify, support)

  const decide = (request: FastifyRequest, path: Path, reason: FallbackReason | null) => {
    const ktlsRequest = request as KtlsRequest
    // An error reply can follow on a stream that had been decided on.
    if (ktlsRequest[kDecision] !== null && ktlsRequest[kDecision] !== PENDING) return
    ktlsRequest[kDecision] = decision(request, path, reason)
    counters.replied(path, reason)
  }

  if (binding === undefined || !secure) {
    fastify.addHook('onSend', (request, _reply, _payload, next) => {
      decide(request, 'node', support.reason ?? refuseRequest(request) ?? 'plain-http')
      next()
    })
    return done()
  }

  startBinding(binding)
  const connections = new Connections(fastify, binding, counters)
  const promoter = new Promoter(support, counters)

  const route = (request: FastifyRequest, reply: FastifyReply, payload: unknown) => {
    const refusal = refuseRequest(request)
    const connection = refusal === undefined ? connections.of(request.raw.socket as TLSSocket) : undefined
    if (connection === undefined) return decide(request, 'node', refusal ?? 'not-captured')
    if (!(payload instanceof ReadStream)) return decide(request, connection.path, 'payload-not-a-file')
    if (!pipesAsNodeDoes(payload)) return decide(request, connection.path, 'stream-modified')
    if (connection.refusal !== undefined) return decide(request, connection.path, connection.refusal)
    ;(request as KtlsRequest)[kDecision] = PENDING
    offerFile(payload, reply, {
      binding,
      promoter,
      connection,
      minSize,
      decided: reason => decide(request, reason === null ? 'sendfile' : connection.path, reason)
    })
  }

  fastify.addHook('onSend', (request, reply, payload, next) => {
    route(request, reply, payload)
    next()
  })
  fastify.addHook('onResponse', (request, _reply, next) => {
    // Offered, but something else than the response consumed the stream.
    if ((request as KtlsRequest)[kDecision] === PENDING) {
      decide(request, connections.of(request.raw.socket as TLSSocket)?.path ?? 'node', 'payload-wrapped')
    }
    next()
  })
  done()
}

function announce (fastify: FastifyInstance, support: Support): void {
  if (support.available) {
    fastify.log.info({ ktls: support }, `kernel TLS offload is available on Linux ${support.kernel}`)
  } else {
    fastify.log.warn({ ktls: { reason: support.reason, kernel: support.kernel } }, `kernel TLS offload is not available, replies go the ordinary way: ${support.detail}`)
  }
}

const fastifyKtls = fp(plugin, { fastify: '5.x', name: 'fastify-ktls' })

module.exports = fastifyKtls
module.exports.default = fastifyKtls
module.exports.fastifyKtls = fastifyKtls
