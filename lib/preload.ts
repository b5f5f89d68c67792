import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Installation } from './installation'
import { handIn, kHand } from './installed'
import type { Hand, Installed } from './installed'
import { DEFAULTS } from './options'
import { declareDecision } from './reply/decisions'
import { asOwnHook } from './reply/unseen'

const NAME = 'fastify-ktls/register'

const kInstalled = Symbol('fastify-ktls.installed')

/** A context inherits what is installed in those around it. */
type Context = FastifyInstance & { [kInstalled]?: Installed }

/**
 * Puts the plugin into an instance that Fastify is making, before anything that the application does with it.
 *
 * Decorators and hooks can be added only while Fastify loads plugins, and so they are, first of all. They begin to do
 * something when all is loaded (onReady), with the default options, and only where the application has not registered the
 * plugin in any context of the instance. Where it has, that registration, also one of another copy of the package, adds hooks
 * of its own where it is made, and has these decorators tell of it: the application has what it has without the preload, in
 * that context alone, errors included.
 *
 * What else differs from an instance without it:
 * - it has the decorators `ktls` of instance and requests from the beginning, undefined until something is installed, and
 *   wherever nothing is. A plugin of the application's that adds a `ktls` of its own to the outermost context fails by
 *   `FST_ERR_DEC_ALREADY_PRESENT`; one that the application has added before it loads plugins is found, and the instance left alone;
 * - it has an onRequest and an onSend hook, which come before the application's (`printRoutes` shows them with `includeHooks`),
 *   and an onReady and an onClose hook;
 * - `printPlugins()` and `pluginName` have a plugin `fastify-ktls/register`. `hasPlugin('fastify-ktls')` is true only where
 *   the application has registered it. There is no route, and no onRoute hook.
 *
 * Instances of another major version of Fastify's are left alone.
 */
export function preload (fastify: FastifyInstance): void {
  const { log, version } = fastify
  if (!version.startsWith('5.')) {
    log.info({ fastify: version }, `${NAME}: this instance of Fastify ${version} is left alone, as fastify-ktls is for Fastify 5`)
    return
  }
  const preloaded = new Preloaded(fastify)
  fastify.register(fp(async () => preloaded.prepare(), { name: NAME }))
  fastify.addHook('onReady', () => preloaded.ready())
}

class Preloaded {
  readonly #fastify: Context
  #prepared = false
  /** By the application. */
  #registered = false
  #installation: Installation | undefined

  constructor (fastify: FastifyInstance) {
    this.#fastify = fastify
  }

  /** As a plugin, the first that Fastify loads. */
  prepare (): void {
    const fastify = this.#fastify
    // Another copy of the package was loaded before the application, too.
    if (handIn(fastify) !== undefined) return
    if (fastify.hasDecorator('ktls') || fastify.hasRequestDecorator('ktls')) {
      fastify.log.info(`${NAME}: this Fastify instance is left alone, as it has a decorator "ktls" of its own`)
      return
    }
    declareDecision(fastify)
    decorate(fastify)
    this.#addHooks()
    const hand: Hand = (context, installed) => {
      (context as Context)[kInstalled] = installed
      this.#registered = true
    }
    Object.assign(fastify, { [kHand]: hand })
    this.#prepared = true
  }

  /** Everything is loaded, and no connection has come. */
  ready (): void {
    if (!this.#prepared || this.#registered) return
    try {
      this.#installation = new Installation(this.#fastify, DEFAULTS)
      this.#installation.start(NAME)
      this.#fastify[kInstalled] = this.#installation
    } catch (error) {
      this.#fastify.log.warn({ err: error }, `${NAME}: replies go as they would without the plugin, which cannot be started`)
    }
  }

  #addHooks (): void {
    this.#fastify.addHook('onRequest', (request, reply, next) => {
      const hooks = this.#installation?.hooks
      if (hooks === undefined) next()
      else hooks.onRequest(request, reply, next)
    })
    this.#fastify.addHook('onSend', asOwnHook((request, reply, payload, next) => {
      const hooks = this.#installation?.hooks
      if (hooks === undefined) next()
      else hooks.onSend(request, reply, payload, next)
    }))
    this.#fastify.addHook('preClose', done => {
      this.#installation?.preClose()
      done()
    })
    this.#fastify.addHook('onClose', (_instance, done) => {
      this.#installation?.close()
      done()
    })
  }
}

function decorate (fastify: FastifyInstance): void {
  fastify.decorate('ktls', { getter (this: Context) { return this[kInstalled]?.ktls as FastifyInstance['ktls'] } })
  fastify.decorateRequest('ktls', { getter (this: FastifyRequest) { return (this.server as Context)[kInstalled]?.decisionOf(this) as FastifyRequest['ktls'] } })
}
