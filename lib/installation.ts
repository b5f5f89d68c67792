import { Server as HttpServer } from 'node:http'
import { Server as HttpsServer } from 'node:https'
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Backend, FallbackReason, FastifyKtls, ReplyDecision, Support } from '../types/index'
import { Connections } from './connection/connections'
import { FST_KTLS_UNAVAILABLE } from './errors'
import type { Installed } from './installed'
import { SWITCHED_OFF, detect, explain, listSupport } from './machine/support'
import type { Detected } from './machine/support'
import { fileCountersOf } from './observe/file-counters'
import { kernelCounters } from './observe/kernel-counters'
import { Counters } from './observe/stats'
import type { Settings } from './options'
import { Decisions, refuseRequest } from './reply/decisions'
import { fallbackHooks, offloadHooks } from './reply/hooks'
import type { ReplyHooks } from './reply/hooks'

/** What one registration does, with its options and counters. */
export class Installation implements Installed {
  readonly ktls: FastifyKtls
  /** Called for each request, once started; none in mode "off". */
  hooks: ReplyHooks | undefined
  readonly #fastify: FastifyInstance
  readonly #settings: Settings
  readonly #detected: Detected
  readonly #secure: boolean
  readonly #counters = new Counters()
  readonly #decisions: Decisions
  #connections: Connections | undefined

  /** Changes nothing yet. Throws FST_KTLS_UNAVAILABLE. */
  constructor (fastify: FastifyInstance, settings: Settings) {
    const { mode } = settings
    this.#fastify = fastify
    this.#settings = settings
    this.#detected = mode === 'off' ? SWITCHED_OFF : detect()
    this.#secure = fastify.server instanceof TlsServer
    const { support, binding } = this.#detected
    if (mode === 'require') requireKernel(fastify, support, this.#secure)
    this.#decisions = new Decisions(this.#counters, mode)
    const stats = () => ({ ...this.#counters.snapshot(), files: fileCountersOf(fastify.server).snapshot(), senders: binding?.senders() ?? null, kernel: kernelCounters() })
    this.ktls = { support, stats }
  }

  /** From now on connections are followed, unless in mode "off". One line of the log says what is done with them, and `by` whom if need be. */
  start (by?: string): void {
    const { mode, backends: allowed, minSize } = this.#settings
    if (mode === 'off') return
    const { support, binding } = this.#detected
    const backends = support.backends.filter(backend => allowed.includes(backend))
    announce(this.#fastify, support, { backends, allowed, secure: this.#secure, by })
    if (binding === undefined || backends.length === 0) {
      this.hooks = fallbackHooks(this.#decisions, () => support.reason!)
    } else if (!this.#secure && !backends.includes('plain')) {
      this.hooks = fallbackHooks(this.#decisions, request => refuseRequest(request) ?? 'plain-http')
    } else {
      this.#connections = new Connections(this.#fastify, binding, this.#counters)
      this.hooks = offloadHooks(this.#fastify, {
        binding, support, backends, tlsRefusal: refuseTls(backends, allowed, support), connections: this.#connections, counters: this.#counters, decisions: this.#decisions, minSize
      })
    }
  }

  decisionOf (request: FastifyRequest): ReplyDecision {
    return this.#decisions.of(request)
  }

  /** Before the servers close. */
  preClose (): void {
    if (this.#connections !== undefined) this.#connections.closing = true
  }

  close (): void {
    this.#connections?.release()
  }
}

function requireKernel (fastify: FastifyInstance, support: Support, secure: boolean): void {
  if (!support.available) throw new FST_KTLS_UNAVAILABLE(support.reason!, explain(support))
  if (!secure) throw new FST_KTLS_UNAVAILABLE('plain-http', 'this Fastify instance has no "https" option')
  if (isHttp2Only(fastify)) throw new FST_KTLS_UNAVAILABLE('http2', 'this Fastify instance speaks HTTP/2 only; let it speak HTTP/1.1 too by "https: { allowHTTP1: true }"')
}

/** As far as the server tells, which may be the application's own (`serverFactory`): that of `http2` with TLS by what it negotiates (RFC 7301). */
function isHttp2Only (fastify: FastifyInstance): boolean {
  const server: object = fastify.server
  if (fastify.initialConfig.http2 !== true || server instanceof HttpServer || server instanceof HttpsServer) return false
  const { ALPNProtocols } = server as { ALPNProtocols?: Uint8Array }
  return ALPNProtocols === undefined || !Buffer.from(ALPNProtocols).includes('http/1.1')
}

function refuseTls (backends: readonly Backend[], allowed: readonly Backend[], { reason }: Support): FallbackReason | undefined {
  if (backends.some(backend => backend !== 'plain')) return undefined
  return allowed.includes('kernel') ? reason! : 'tls'
}

interface Announced {
  readonly backends: readonly Backend[]
  readonly allowed: readonly Backend[]
  readonly secure: boolean
  readonly by: string | undefined
}

function announce (fastify: FastifyInstance, support: Support, { backends, allowed, secure, by }: Announced): void {
  const { log } = fastify
  const { reason, kernel } = support
  const said = (text: string) => by === undefined ? text : `${by}: ${text}`
  if (isHttp2Only(fastify)) {
    const remedy = secure ? '; "https: { allowHTTP1: true }" lets it speak HTTP/1.1 too' : ''
    log.warn({ ktls: { reason: 'http2', kernel } }, said(`replies go the ordinary way, as this instance speaks HTTP/2 only${remedy}`))
  } else if (!secure && !allowed.includes('plain')) {
    log.warn({ ktls: { reason: 'plain-http', kernel } }, said('replies go the ordinary way, as this instance has no TLS, and the option "backends" leaves "plain" out'))
  } else if (!secure && backends.includes('plain')) {
    log.info({ ktls: { backends: ['plain'], kernel } }, said('file replies go by sendfile(2), as this instance has no TLS'))
  } else if (backends.includes('kernel')) {
    log.info({ ktls: support }, said(`kernel TLS offload is available on Linux ${kernel}: ${listSupport(support)}`))
  } else if (backends.includes('threads')) {
    const why = allowed.includes('kernel') ? `kernel TLS is not available: ${explain(support)}` : 'the option "backends" leaves the kernel out'
    log.info({ ktls: { backends, reason, kernel } }, said(`file replies go by sender threads, as ${why}`))
  } else if (backends.includes('plain') && !allowed.includes('kernel')) {
    log.warn({ ktls: { backends, kernel } }, said('replies over TLS go the ordinary way, as the option "backends" names only "plain"'))
  } else {
    log.warn({ ktls: { reason, kernel } }, said(`kernel TLS offload is not available, replies go the ordinary way: ${explain(support)}`))
  }
}
