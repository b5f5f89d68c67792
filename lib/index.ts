import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { Backend, FallbackReason, FastifyKtlsOptions, Support } from '../types/index'
import { Decisions, refuseRequest } from './reply/decisions'
import { FST_KTLS_ALREADY_REGISTERED, FST_KTLS_UNAVAILABLE } from './errors'
import { addFallbackHook, addOffloadHooks } from './reply/hooks'
import { fileCountersOf } from './observe/file-counters'
import { kernelCounters } from './observe/kernel-counters'
import { parseOptions } from './options'
import { Counters } from './observe/stats'
import { SWITCHED_OFF, detect, explain, listSupport } from './machine/support'

const plugin: FastifyPluginAsync<FastifyKtlsOptions> = async (fastify, options) => {
  const { mode, backends: allowed, minSize } = parseOptions({ ...options })
  if (isRegistered(fastify)) throw new FST_KTLS_ALREADY_REGISTERED()
  const { support, binding } = mode === 'off' ? SWITCHED_OFF : detect()
  const secure = fastify.server instanceof TlsServer
  if (mode === 'require') {
    if (!support.available) throw new FST_KTLS_UNAVAILABLE(support.reason!, explain(support))
    if (!secure) throw new FST_KTLS_UNAVAILABLE('plain-http', 'this Fastify instance has no "https" option')
    if (isHttp2Only(fastify)) throw new FST_KTLS_UNAVAILABLE('http2', 'this Fastify instance speaks HTTP/2 only; let it speak HTTP/1.1 too by "https: { allowHTTP1: true }"')
  }

  const counters = new Counters()
  const decisions = new Decisions(fastify, counters, mode)
  fastify.decorate('ktls', { support, stats: () => ({ ...counters.snapshot(), files: fileCountersOf(fastify.server).snapshot(), senders: binding?.senders() ?? null, kernel: kernelCounters() }) })
  if (mode === 'off') return

  const backends = support.backends.filter(backend => allowed.includes(backend))
  announce(fastify, support, { backends, allowed, secure })
  if (binding === undefined || backends.length === 0) {
    addFallbackHook(fastify, decisions, () => support.reason!)
  } else if (!secure && !backends.includes('plain')) {
    addFallbackHook(fastify, decisions, request => refuseRequest(request) ?? 'plain-http')
  } else {
    addOffloadHooks(fastify, { binding, support, backends, tlsRefusal: refuseTls(backends, allowed, support), counters, decisions, minSize })
  }
}

function refuseTls (backends: readonly Backend[], allowed: readonly Backend[], { reason }: Support): FallbackReason | undefined {
  if (backends.some(backend => backend !== 'plain')) return undefined
  return allowed.includes('kernel') ? reason! : 'tls'
}

/** By what it has decorated, also where another evaluation of this file did. A decorator of the application's is not ours. */
function isRegistered ({ ktls }: Partial<FastifyInstance>): boolean {
  return ktls?.support !== undefined
}

/** As far as is known: a server of the application's own (`serverFactory`) does not say. */
function isHttp2Only ({ initialConfig: { http2, https } }: FastifyInstance): boolean {
  return http2 === true && (https === true || (typeof https === 'object' && !https.allowHTTP1))
}

function announce (fastify: FastifyInstance, support: Support, { backends, allowed, secure }: { readonly backends: readonly Backend[], readonly allowed: readonly Backend[], readonly secure: boolean }): void {
  const { reason, kernel } = support
  if (!secure && backends.includes('plain')) {
    fastify.log.info({ ktls: { backends: ['plain'], kernel } }, 'file replies go by sendfile(2), as this instance has no TLS')
  } else if (backends.includes('kernel')) {
    fastify.log.info({ ktls: support }, `kernel TLS offload is available on Linux ${kernel}: ${listSupport(support)}`)
  } else if (backends.includes('threads')) {
    const why = support.available ? 'the option "backends" leaves the kernel out' : `kernel TLS is not available: ${explain(support)}`
    fastify.log.info({ ktls: { backends, reason, kernel } }, `file replies go by sender threads, as ${why}`)
  } else if (backends.includes('plain') && !allowed.includes('kernel')) {
    fastify.log.warn({ ktls: { backends, kernel } }, 'replies over TLS go the ordinary way, as the option "backends" names only "plain"')
  } else {
    fastify.log.warn({ ktls: { reason, kernel } }, `kernel TLS offload is not available, replies go the ordinary way: ${explain(support)}`)
  }
}

const fastifyKtls = fp(plugin, { fastify: '5.x', name: 'fastify-ktls' })

// By this Node knows before it runs the file what a module can import by name.
module.exports.fastifyKtls = fastifyKtls
export = Object.assign(fastifyKtls, { default: fastifyKtls, fastifyKtls })
