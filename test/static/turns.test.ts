/* A kept answer comes in a later turn of the event loop, as @fastify/static's does: what the application does after its call, and before the reply, counts as ever. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { renameSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import fastifyStatic from '@fastify/static'
import type { FastifyStaticOptions } from '@fastify/static'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import t from 'tap'
import { fileCountersOf } from '../../lib/observe/file-counters'
import { makeFolder } from '../support/files'
import { until } from '../support/wait'
import { comparedOverSockets, keepingStatic } from './compared'

const TIMES = 5

const root = makeFolder(t)
writeFileSync(join(root, 'a.txt'), 'a'.repeat(5000))
writeFileSync(join(root, 'b.txt'), 'b'.repeat(300))
writeFileSync(join(root, 'large.bin'), 'c'.repeat(100_000))
writeFileSync(join(root, 'page'), 'the page itself')
writeFileSync(join(root, 'page.html'), '<p>page</p>')

t.before(() => until(() => Date.now() - statSync(root).ctimeMs > 50))

const refusal = () => Object.assign(new Error('no'), { statusCode: 403 })

function hitsOf (app: FastifyInstance): number {
  return fileCountersOf(app.server).snapshot().hits
}

interface Case {
  readonly what: string
  readonly handler: (reply: FastifyReply, request: FastifyRequest) => unknown
  readonly setup?: (app: FastifyInstance) => void
}

/** Each calls for a file that is kept. */
const CALLS: readonly Case[] = [
  { what: 'a refusal after a check', handler: async reply => { reply.sendFile('a.txt'); await Promise.reject(refusal()) } },
  { what: 'an error', handler: reply => { reply.sendFile('a.txt'); throw refusal() } },
  { what: 'an error, seen by a hook', handler: async reply => { reply.sendFile('a.txt'); throw refusal() }, setup: app => { app.addHook('onError', async () => {}) } },
  {
    what: 'an error, for a handler that takes its time',
    handler: reply => { reply.sendFile('a.txt'); throw refusal() },
    setup: app => { app.setErrorHandler(async (_error, _request, reply) => { await null; reply.code(403); return 'refused' }) }
  },
  { what: 'a header and a status that come late', handler: async reply => { reply.sendFile('a.txt'); await null; return reply.header('set-cookie', 's=1').code(203) } },
  { what: 'a header that comes late', handler: async reply => { reply.sendFile('a.txt'); await null; return reply.header('set-cookie', 's=1') } },
  { what: 'another payload', handler: async reply => { reply.sendFile('a.txt'); return { mine: 1 } } },
  { what: 'a payload of the same kind', handler: async reply => { reply.sendFile('a.txt'); reply.removeHeader('content-type').send(Buffer.from('mine')) } },
  { what: 'a redirect', handler: async reply => { reply.sendFile('a.txt'); await null; return reply.redirect('/b.txt') } },
  { what: 'no return', handler: async reply => { reply.sendFile('a.txt') } },
  { what: 'a hijack', handler: reply => { reply.sendFile('a.txt').hijack(); reply.raw.end('hijacked') } },
  { what: 'a head that is sent', handler: reply => { reply.raw.flushHeaders(); return reply.sendFile('a.txt') } },
  { what: 'another disposition, and a status', handler: reply => reply.download('a.txt').header('content-disposition', 'inline').code(202) },
  { what: 'no disposition, and another header', handler: reply => reply.download('a.txt').removeHeader('content-disposition').header('etag', '"mine"') },
  { what: 'an argument that JSON does not know', handler: (reply, request) => (reply.sendFile as (...call: unknown[]) => unknown)('a.txt', root, {}, request) }
]

for (const { what, handler, setup } of CALLS) {
  t.test(`after a call: ${what}`, async t => {
    const seen = new WeakMap<FastifyInstance, string[]>()
    const { ask, kept, plain } = await comparedOverSockets(t, { root }, app => {
      const events: string[] = []
      seen.set(app, events)
      app.addHook('onResponse', async (_request, reply) => { events.push(`${reply.statusCode} ${reply.sent} ${reply.raw.writableFinished}`) })
      setup?.(app)
      app.get('/known', (_request, reply) => reply.sendFile('a.txt'))
      app.get('/download', (_request, reply) => reply.download('a.txt'))
      app.get('/x', (request, reply) => handler(reply, request))
    })
    for (const url of ['/known', '/download']) for (let time = 1; time < TIMES; time++) await ask({ url })
    t.ok(hitsOf(kept) > 2)
    for (let time = 1; time <= TIMES; time++) {
      const [one, two] = await ask({ url: '/x' })
      t.equal(one, two)
    }
    await until(() => seen.get(kept)!.length === seen.get(plain)!.length)
    t.strictSame(seen.get(kept), seen.get(plain))
  })
}

/** What a route's handler has around it. */
const WRAPPERS: ReadonlyArray<readonly [what: string, after: (reply: FastifyReply, ends: unknown) => unknown]> = [
  ['a header after it', (reply, ends) => { reply.header('x-after', '1'); return ends }],
  ['a header of reply.raw', (reply, ends) => { reply.raw.setHeader('x-after', '1'); return ends }],
  ['a hijack', (reply, ends) => { reply.hijack().raw.end('hijacked'); return ends }],
  ['its end', async (reply, ends) => { await ends; reply.log.info({ after: reply.raw.writableFinished }) }]
]

for (const [what, after] of WRAPPERS) {
  t.test(`around a route: ${what}`, async t => {
    const { ask, kept } = await comparedOverSockets(t, { root }, app => {
      app.addHook('onRoute', route => {
        const inner: RouteHandlerMethod = route.handler
        route.handler = function (request, reply) {
          const ends: unknown = inner.call(this, request, reply)
          return request.headers['x-act'] === undefined ? ends : after(reply, ends)
        }
      })
    })
    for (const url of ['/a.txt', '/large.bin']) {
      const before = hitsOf(kept)
      for (let time = 1; time < TIMES; time++) await ask({ url })
      t.ok(hitsOf(kept) > before, url)
      for (let time = 1; time < TIMES; time++) {
        const [one, two] = await ask({ url, headers: { 'x-act': '1' } })
        t.equal(one, two, url)
      }
    }
  })
}

t.test('a handler ends with the reply', async t => {
  const ends = new WeakMap<object, boolean[]>()
  const heard = (message: unknown) => {
    const { reply } = message as { reply: FastifyReply }
    ends.get(reply.server)?.push(reply.raw.writableFinished)
  }
  subscribe('tracing:fastify.request.handler:asyncStart', heard)
  t.teardown(() => unsubscribe('tracing:fastify.request.handler:asyncStart', heard))
  const { ask, kept, plain } = await comparedOverSockets(t, { root }, app => {
    ends.set(app, [])
    app.get('/call', async (_request, reply) => { await reply.sendFile('a.txt') })
  })
  for (const app of [kept, plain]) ends.set(app, [])
  for (const url of ['/a.txt', '/call', '/large.bin']) for (let time = 1; time <= TIMES; time++) await ask({ url })
  for (const app of [kept, plain]) {
    await until(() => ends.get(app)!.length === 3 * TIMES)
    t.ok(ends.get(app)!.every(isFinished => isFinished))
  }
})

t.test('of several calls on one reply none is learnt as another', async t => {
  const { ask, kept } = await comparedOverSockets(t, { root }, app => {
    app.addHook('preHandler', async (request, reply) => { if (request.url.includes('old')) reply.sendFile('b.txt', { maxAge: '1y', immutable: true }) })
    app.get('/headers', (_request, reply) => { reply.sendFile('a.txt', { maxAge: '1y', immutable: true }); reply.sendFile('a.txt') })
    app.get('/files', (_request, reply) => { reply.sendFile('page.html'); reply.sendFile('page', { extensions: ['html'] }) })
    app.get('/a', (_request, reply) => reply.sendFile('a.txt'))
    app.get('/page', (_request, reply) => reply.sendFile('page', { extensions: ['html'] }))
  })
  // Of two bodies parts would be sent, without the plugin as well.
  const headers = { 'if-none-match': '*' }
  for (const url of ['/headers', '/files', '/b.txt?old']) for (let time = 1; time <= TIMES; time++) await ask({ url, headers })
  const before = hitsOf(kept)
  for (const url of ['/a', '/page', '/b.txt']) {
    for (let time = 1; time <= TIMES; time++) {
      const [one, two] = await ask({ url, headers })
      t.equal(one, two, url)
    }
  }
  t.ok(hitsOf(kept) >= before + 6)
})

/** Who asks for all of these at once. */
function pipeline (app: FastifyInstance, paths: readonly string[]): Socket {
  const client = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  for (const path of paths) client.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
  return client
}

t.test('what is kept is not read before its turn on the connection has come', async t => {
  const piped = new WeakMap<FastifyInstance, string[]>()
  const { ask, kept, plain } = await comparedOverSockets(t, { root }, app => {
    app.addHook('onRequest', async (request, reply) => {
      reply.raw.once('pipe', () => { piped.get(app)?.push(request.url) })
      if (request.url.includes('slow')) await setTimeout(100)
    })
  })
  for (let time = 1; time <= TIMES; time++) await ask({ url: '/a.txt' })
  for (const [app, expected] of [[kept, ['/a.txt']], [plain, ['/a.txt', '/a.txt?slow']]] as const) {
    const urls: string[] = []
    piped.set(app, urls)
    const client = pipeline(app, ['/a.txt?slow', '/a.txt'])
    let got = ''
    client.on('data', chunk => { got += chunk.toString() })
    await until(() => got.match(/a{5000}/g)?.length === 2)
    client.destroy()
    t.strictSame(urls, expected)
  }
})

t.test('that a client has left is logged', async t => {
  for (const plugin of [keepingStatic, fastifyStatic]) {
    const lines: string[] = []
    let arrived = 0
    const app = Fastify({ logger: { stream: { write: line => { lines.push((JSON.parse(line) as { msg: string }).msg) } } } }) as unknown as FastifyInstance
    t.teardown(() => app.close())
    app.addHook('onRequest', async request => {
      arrived++
      if (request.url.includes('slow')) await setTimeout(100)
    })
    await app.register(plugin, { root })
    await app.listen({ port: 0, host: '127.0.0.1' })
    for (let time = 1; time <= TIMES; time++) await app.inject('/a.txt')
    t.equal(hitsOf(app) > 0, plugin === keepingStatic)
    const client = pipeline(app, ['/a.txt?slow'])
    arrived = lines.length = 0
    await until(() => arrived > 0)
    client.destroy()
    await until(() => lines.includes('stream closed prematurely'))
  }
})

t.test('setHeaders has a stat of its own each time', async t => {
  const options: Partial<FastifyStaticOptions> = {
    setHeaders: (reply, _path, stat) => {
      reply.header('x-size', stat.size)
      stat.size = 5
    }
  }
  const { ask, kept } = await comparedOverSockets(t, { root, ...options })
  for (let time = 1; time <= TIMES; time++) {
    for (const headers of [{}, { range: 'bytes=10-20' }]) {
      const [one, two] = await ask({ url: '/a.txt', headers })
      t.equal(one, two)
    }
  }
  t.ok(hitsOf(kept) >= 2)
})

t.test('options that are used again for another registration', async t => {
  const registered = [keepingStatic, fastifyStatic].map(async plugin => {
    const app = Fastify() as unknown as FastifyInstance
    t.teardown(() => app.close())
    const roots = [root]
    const options: FastifyStaticOptions = { root: roots, prefix: '/one/', setHeaders: reply => { reply.header('x-who', 'one') } }
    await app.register(plugin, options)
    await app.register(plugin, Object.assign(options, { prefix: '/two/', decorateReply: false, setHeaders: (reply: FastifyReply) => { reply.header('x-who', 'two') } }))
    roots.pop()
    const seen: unknown[] = []
    for (const url of ['/one/a.txt', '/two/a.txt']) for (let time = 1; time <= TIMES; time++) seen.push((await app.inject(url)).headers['x-who'])
    return seen
  })
  const [kept, plain] = await Promise.all(registered)
  t.strictSame(kept, plain)
})

t.test('a file that is replaced right after the call', async t => {
  const folder = makeFolder(t)
  const names = new WeakMap<FastifyInstance, string>()
  const { ask, kept, plain } = await comparedOverSockets(t, { root: folder }, app => {
    app.get('/x', (request, reply) => {
      const path = join(folder, names.get(app)!)
      reply.sendFile(names.get(app)!)
      if (request.headers.range === undefined) return
      writeFileSync(`${path}.new`, 'the second version')
      renameSync(`${path}.new`, path)
    })
  })
  for (const [app, name] of [[kept, 'kept.txt'], [plain, 'plain.txt']] as const) {
    names.set(app, name)
    writeFileSync(join(folder, name), 'the first version')
  }
  await until(() => Date.now() - statSync(folder).ctimeMs > 50)
  for (let time = 1; time <= TIMES; time++) await ask({ url: '/x' })
  t.ok(hitsOf(kept) > 0)
  const answers = await ask({ url: '/x', headers: { range: 'bytes=4-9' } })
  const [one, two] = answers.map(answer => (JSON.parse(answer) as [number, string[], string])[2])
  t.equal(one, two)
})

t.test('a header that Node refuses', async t => {
  const { kept, plain } = await comparedOverSockets(t, { root, setHeaders: reply => { reply.header('x-bad', 'a\nb') } })
  const heads = await Promise.all([kept, plain].map(async app => {
    const seen: string[] = []
    for (let time = 1; time <= TIMES; time++) {
      const client = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
      client.write('GET /a.txt HTTP/1.1\r\nhost: localhost\r\n\r\n')
      const [chunk] = await once(client, 'data') as [Buffer]
      seen.push(chunk.toString().split('\r\n')[0]!)
      client.destroy()
    }
    return seen
  }))
  t.strictSame(heads[0], heads[1])
})
