import { isMainThread } from 'node:worker_threads'
import type { FastifyStaticOptions } from '@fastify/static'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import fp from 'fastify-plugin'
import { loadBinding } from '../binding'
import type { Binding } from '../binding'
import { FST_KTLS_STATIC_MISSING } from '../errors'
import type { FileMiss } from '../../types/index'
import { readIfThere } from '../machine/read'
import { fileCountersOf } from '../observe/file-counters'
import type { FileCounters } from '../observe/file-counters'
import { KeptFiles } from './kept-files'
import { Learner } from './learner'

/** Files that are kept open for one registration: so many, and at most this share of the descriptors that the process may have (man 5 proc_pid_limits). */
const [MOST, SHARE] = [1000, 0.25]

/** Asked for under a condition, or for a part: @fastify/static answers. */
const CONDITIONS = ['range', 'if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since'] as const

const plugin: FastifyPluginAsync<FastifyStaticOptions> = async (fastify, options) => {
  const fastifyStatic = load()
  const loaded = loadBinding()
  let registering = 'binding' in loaded && canKeep(options)
  if ('binding' in loaded && registering) {
    const counters = fileCountersOf(fastify.server)
    const files = new KeptFiles(loaded.binding, counters, limit())
    fastify.addHook('onClose', async () => files.close())
    const wrap = keeping(loaded.binding, files, counters, options)
    fastify.addHook('onRoute', route => {
      if (registering) route.handler = wrap(route.handler)
    })
  }
  fastify.register(fastifyStatic, options)
  fastify.after(() => { registering = false })
}

function limit (): number {
  const [, descriptors] = /^Max open files +(\d+)/m.exec(readIfThere('/proc/self/limits') ?? '') ?? []
  return descriptors === undefined ? MOST : Math.min(MOST, Math.floor(Number(descriptors) * SHARE))
}

function load (): FastifyPluginAsync<FastifyStaticOptions> {
  try {
    return require('@fastify/static') as FastifyPluginAsync<FastifyStaticOptions>
  } catch (error) {
    throw new FST_KTLS_STATIC_MISSING((error as Error).message)
  }
}

/** These are asked at each request; and in a worker Node warns of descriptors that it has not opened. */
function canKeep ({ setHeaders, allowedPath, ...options }: FastifyStaticOptions): boolean {
  return isMainThread && setHeaders === undefined && allowedPath === undefined && !('onFile' in options)
}

function keeping (binding: Binding, files: KeptFiles, counters: FileCounters, options: FastifyStaticOptions): (handler: RouteHandlerMethod) => RouteHandlerMethod {
  const learner = new Learner(binding, files, options)
  const byEncoding = options.preCompressed === true

  const refuse = (request: FastifyRequest, reply: FastifyReply): FileMiss | undefined => {
    if (!isPlainGet(request)) return 'request'
    return learner.isUntouched(reply) ? undefined : 'headers'
  }

  return handler => function (request, reply) {
    const cause = refuse(request, reply)
    if (cause !== undefined) {
      counters.missed(cause)
      return handler.call(this, request, reply)
    }
    const key = keyOf(request, byEncoding)
    const answer = files.find(key)
    const stream = answer && files.open(answer)
    if (stream === undefined) {
      learner.watch(key, reply)
      return handler.call(this, request, reply)
    }
    reply.headers(answer!.headers).send(stream)
  }
}

function isPlainGet ({ method, headers }: FastifyRequest): boolean {
  return method === 'GET' && CONDITIONS.every(name => headers[name] === undefined)
}

/** What @fastify/static looks at of a request. */
function keyOf ({ raw, headers }: FastifyRequest, byEncoding: boolean): string {
  const url = raw.url!
  const query = url.indexOf('?')
  const path = query < 0 ? url : url.slice(0, query)
  return byEncoding ? `${path} ${headers['accept-encoding'] ?? ''}` : path
}

const keepingStatic = fp(plugin, { fastify: '5.x', name: 'fastify-ktls/static' })

export = Object.assign(keepingStatic, { default: keepingStatic })
