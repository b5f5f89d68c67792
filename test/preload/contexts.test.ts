/* What the preload does to an instance and its contexts; here it is loaded before this file makes any. */
import '../../lib/register'
import { channel, hasSubscribers } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import { createReadStream } from 'node:fs'
import type { Server } from 'node:http'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import t from 'tap'
import { hasOwnHooksOnly } from '../../lib/reply/unseen'
import type { FastifyKtlsOptions, ReplyDecision } from '../../types/index'
import { certificate } from '../certificate'
import { makeFile, makeFolder } from '../support/files'
import { ktls } from '../support/plugin'
import { request } from '../support/request'
import { until } from '../support/wait'

const file = makeFile(makeFolder(t), 300_000)

const THREADS: FastifyKtlsOptions = { backends: ['threads'] }

interface Made {
  readonly app: FastifyInstance
  readonly log: Array<{ readonly level: number, readonly msg: string }>
}

async function make (t: Tap.Test, options: object = {}): Promise<Made> {
  const log: Made['log'] = []
  const logger: FastifyServerOptions['logger'] = { stream: { write: line => { log.push(JSON.parse(line)) } } }
  const app = Fastify({ https: await certificate(), logger, ...options }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  return { app, log }
}

function serve (app: FastifyInstance, url: string): void {
  app.get(url, (_request, reply) => reply.send(createReadStream(file.path)))
}

const decisions = new WeakMap<FastifyInstance, Array<ReplyDecision | undefined>>()

function collectDecisions (app: FastifyInstance): void {
  const decided: Array<ReplyDecision | undefined> = []
  decisions.set(app, decided)
  app.addHook('onResponse', async ({ ktls }) => { decided.push(ktls) })
}

/** Asks for each of the URLs once; what is decided on them, in turn. */
async function decisionsOf (t: Tap.Test, app: FastifyInstance, ...urls: string[]): Promise<Array<ReplyDecision | undefined>> {
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  for (const url of urls) t.equal((await request(origin + url)).sha256, file.sha256, url)
  const decided = decisions.get(app)!
  await until(() => decided.length === urls.length)
  return decided
}

t.test('each instance is given the plugin, and says so', async t => {
  const made = [await make(t), await make(t)]
  for (const { app } of made) {
    collectDecisions(app)
    serve(app, '/')
  }
  for (const { app, log } of made) {
    t.match(await decisionsOf(t, app, '/'), [{ offloaded: true, backend: app.ktls.support.available ? 'kernel' : 'threads' }])
    t.match(app.ktls.stats().connections, { seen: 1 }, 'its own connections')
    t.equal(log.filter(({ msg }) => msg.startsWith('fastify-ktls/register: ')).length, 1)
  }
  for (const { app } of made) await app.close()
  t.notOk(hasSubscribers('net.server.socket'), 'nothing is followed any more')
})

t.test('what the application sees of it', async t => {
  const { app } = await make(t)
  t.notOk(app.hasDecorator('ktls'), 'nothing yet')
  app.addHook('onReady', async () => { t.ok(app.ktls.support, 'there before its own onReady hooks') })
  app.register(async context => {
    t.ok(context.hasDecorator('ktls'))
    t.equal(context.ktls as unknown, undefined, 'nothing is installed before all is loaded')
  })
  app.get('/unseen', async request => hasOwnHooksOnly(request))
  await app.ready()
  t.notOk(app.hasPlugin('fastify-ktls'))
  t.match(app.printPlugins(), /fastify-ktls\/register/)
  t.equal((await app.inject('/unseen')).body, 'true', 'its onSend hook is known as one of our own')
})

t.test('a registration in a context is for that context, and the rest is as without the preload', async t => {
  const { app, log } = await make(t)
  collectDecisions(app)
  app.register(async context => {
    context.register(ktls, THREADS)
    serve(context, '/within')
    context.register(async deeper => serve(deeper, '/deeper'))
  })
  serve(app, '/outside')
  t.match(await decisionsOf(t, app, '/within', '/deeper', '/outside'), [{ backend: 'threads' }, { backend: 'threads' }, undefined])
  t.equal(app.ktls as unknown, undefined)
  t.notOk(log.some(({ msg }) => msg.includes('fastify-ktls/register')))
})

t.test('registrations in two contexts', async t => {
  const { app } = await make(t, { https: null })
  collectDecisions(app)
  app.register(async context => {
    context.register(ktls, { backends: ['plain'] })
    serve(context, '/one')
  })
  app.register(async context => {
    context.register(ktls, { mode: 'off' })
    serve(context, '/other')
  })
  t.match(await decisionsOf(t, app, '/one', '/other'), [{ backend: 'plain' }, { reason: 'off' }])
})

t.test('hooks of a registration come where it is made', async t => {
  const { app } = await make(t)
  collectDecisions(app)
  app.addHook('onSend', async () => createReadStream(file.path))
  app.register(ktls, THREADS)
  app.get('/', async () => 'what a hook makes a file of')
  t.match(await decisionsOf(t, app, '/'), [{ offloaded: true, backend: 'threads' }])
})

t.test('a registration in a context within one that has it', async t => {
  const { app } = await make(t)
  app.register(ktls, THREADS)
  app.register(async context => { context.register(ktls, THREADS) })
  await t.rejects(Promise.resolve(app.ready()), { code: 'FST_KTLS_ALREADY_REGISTERED' })
})

t.test('an application with a decorator of that name is left alone', async t => {
  for (const kind of ['decorate', 'decorateRequest'] as const) {
    const { app, log } = await make(t)
    Reflect.apply(app[kind], app, ['ktls', 'its own'])
    app.get('/', async request => `${String(app.ktls)}, ${String(request.ktls)}`)
    t.equal((await app.inject('/')).body, kind === 'decorate' ? 'its own, undefined' : 'undefined, its own')
    t.match(log, [{ level: 30, msg: /^fastify-ktls\/register: this Fastify instance is left alone, as it has a decorator "ktls" of its own$/ }])
  }
})

t.test('where it cannot be started, the application can', async t => {
  /** As much of a server as Fastify needs for inject(). */
  const serverFactory = (): Server => Object.assign(new EventEmitter(), { address: () => null, prependListener: undefined }) as unknown as Server
  const { app, log } = await make(t, { https: null, serverFactory })
  app.get('/', async () => 'a reply')
  t.equal((await app.inject('/')).body, 'a reply')
  t.match(log.filter(({ level }) => level > 30), [{ msg: 'fastify-ktls/register: replies go as they would without the plugin, which cannot be started' }])
})

t.test('what it throws does not end the process', async t => {
  const warnings: unknown[] = []
  const register = () => { throw new Error('not now') }
  channel('fastify.initialization').publish({ fastify: { version: '5.0.0', register, log: { warn: (...line: unknown[]) => warnings.push(line) } } })
  t.match(warnings, [[{ err: { message: 'not now' } }, /^fastify-ktls\/register: this Fastify instance is left alone/]])
})
