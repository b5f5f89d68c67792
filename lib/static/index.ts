import { isMainThread } from 'node:worker_threads'
import type { FastifyStaticOptions } from '@fastify/static'
import type { FastifyInstance, FastifyPluginAsync, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { loadBinding } from '../binding'
import { FST_KTLS_STATIC_MISSING } from '../errors'
import { isInstalled } from '../installed'
import { fileCountersOf } from '../observe/file-counters'
import { Registration } from './registration'
import type { Decorator } from './registration'

const plugin: FastifyPluginAsync<FastifyStaticOptions> = async (fastify, options) => {
  const fastifyStatic = load()
  fastify.addHook('onReady', async () => announceUnlessOffloaded(fastify))
  const loaded = loadBinding()
  // In a worker Node warns of descriptors that it has not opened.
  if (!('binding' in loaded) || !isMainThread || !isKnown() || !Registration.canKeep(options)) {
    fastify.register(fastifyStatic, options)
    return
  }

  const registration = new Registration(loaded.binding, fileCountersOf(fastify.server), options)
  fastify.addHook('onClose', async () => registration.close())
  // By its name other plugins may ask for @fastify/static.
  const beneath: typeof fastifyStatic = async (instance, options) => fastifyStatic(within(instance, registration), options)
  fastify.register(fp(beneath, { fastify: '5.x', name: '@fastify/static' }), registration.options())
}

/** Those whose log has it by now. */
const announced = new WeakSet<FastifyInstance['server']>()

/** No warning, as @fastify/static gives none there either. */
function announceUnlessOffloaded (fastify: FastifyInstance): void {
  if (isInstalled(fastify) || announced.has(fastify.server)) return
  announced.add(fastify.server)
  fastify.log.info('fastify-ktls/static: nothing is offloaded, as fastify-ktls is not registered in this context')
}

function load (): FastifyPluginAsync<FastifyStaticOptions> {
  try {
    return require('@fastify/static') as FastifyPluginAsync<FastifyStaticOptions>
  } catch (error) {
    throw new FST_KTLS_STATIC_MISSING((error as Error).message)
  }
}

/** Whether it is known where this version looks for files; those before 10 answer by `request.params`, which hooks may change. */
function isKnown (): boolean {
  const { version } = require('@fastify/static/package.json') as { version: string }
  return Number.parseInt(version, 10) === 10
}

/**
 * The instance, but for the routes and decorators that are added by it: those answer from kept files. An onRoute hook of the
 * application's finds handlers that do already, and may put others around them.
 */
function within (instance: FastifyInstance, registration: Registration): FastifyInstance {
  const route = (options: RouteOptions) => instance.route({ ...options, handler: registration.handler(options) })
  const decorateReply = (name: string, original: Decorator) => instance.decorateReply(name, registration.decorator(name, original))
  return Object.create(instance, { route: { value: route }, decorateReply: { value: decorateReply } }) as FastifyInstance
}

const keepingStatic = fp(plugin, { fastify: '5.x', name: 'fastify-ktls/static' })

export = Object.assign(keepingStatic, { default: keepingStatic })
