import type { ReadStream } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import type { FastifyStaticOptions } from '@fastify/static'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, RouteHandlerMethod, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { FileMiss } from '../../types/index'
import { loadBinding } from '../binding'
import { FST_KTLS_STATIC_MISSING } from '../errors'
import { fileCountersOf } from '../observe/file-counters'
import type { FileCounters } from '../observe/file-counters'
import { Answers } from './answers'
import type { Headers } from './answers'
import { KeptFiles } from './kept-files'
import { Learner } from './learner'

/** Asked for under a condition, or for a part: @fastify/static answers. */
const CONDITIONS = ['range', 'if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since'] as const

const plugin: FastifyPluginAsync<FastifyStaticOptions> = async (fastify, options) => {
  const fastifyStatic = load()
  const loaded = loadBinding()
  // In a worker Node warns of descriptors that it has not opened.
  const answers = 'binding' in loaded && isMainThread && isKnown() ? Answers.of(options) : undefined
  if (!('binding' in loaded) || answers === undefined) {
    fastify.register(fastifyStatic, options)
    return
  }

  const counters = fileCountersOf(fastify.server)
  const files = new KeptFiles(loaded.binding, counters)
  fastify.addHook('onClose', async () => files.close())
  const wrap = keeping(files, new Learner(loaded.binding, files, answers), counters)
  // By its name other plugins may ask for @fastify/static.
  const beneath: typeof fastifyStatic = async (instance, options) => fastifyStatic(wrapping(instance, wrap), options)
  fastify.register(fp(beneath, { fastify: '5.x', name: '@fastify/static' }), options)
}

function load (): FastifyPluginAsync<FastifyStaticOptions> {
  try {
    return require('@fastify/static') as FastifyPluginAsync<FastifyStaticOptions>
  } catch (error) {
    throw new FST_KTLS_STATIC_MISSING((error as Error).message)
  }
}

/** Earlier ones than 10 answer by `request.params`, which hooks may change. */
function isKnown (): boolean {
  const { version } = require('@fastify/static/package.json') as { version: string }
  return Number.parseInt(version, 10) >= 10
}

type Wrap = (route: RouteOptions) => RouteHandlerMethod

/** The instance, but for the handlers of routes that are added by it: an onRoute hook of the application's finds them wrapped already, and may wrap them in turn. */
function wrapping (instance: FastifyInstance, wrap: Wrap): FastifyInstance {
  return Object.create(instance, { route: { value: (route: RouteOptions) => instance.route({ ...route, handler: wrap(route) }) } }) as FastifyInstance
}

function keeping (files: KeptFiles, learner: Learner, counters: FileCounters): Wrap {
  const refuse = (request: FastifyRequest, reply: FastifyReply): FileMiss | undefined => {
    if (!isPlainGet(request)) return 'request'
    return learner.isUntouched(reply) ? undefined : 'headers'
  }

  return ({ handler }) => function (request, reply) {
    const cause = refuse(request, reply)
    if (cause !== undefined) {
      counters.missed(cause)
      return handler.call(this, request, reply)
    }
    const path = pathOf(request)
    const answer = files.find(path)
    const stream = answer && files.open(answer)
    if (stream !== undefined) return send(reply, answer!.headers, stream)
    learner.watch(path, reply)
    return handler.call(this, request, reply)
  }
}

/** As @fastify/static ends: with the reply. */
async function send (reply: FastifyReply, headers: Headers, stream: ReadStream): Promise<void> {
  await reply.code(200).headers(headers).send(stream)
}

/** By what @fastify/static looks at, which hooks do not change. */
function isPlainGet ({ raw: { method, headers } }: FastifyRequest): boolean {
  return method === 'GET' && CONDITIONS.every(name => headers[name] === undefined)
}

function pathOf ({ raw }: FastifyRequest): string {
  const url = raw.url!
  const query = url.indexOf('?')
  return query < 0 ? url : url.slice(0, query)
}

const keepingStatic = fp(plugin, { fastify: '5.x', name: 'fastify-ktls/static' })

export = Object.assign(keepingStatic, { default: keepingStatic })
