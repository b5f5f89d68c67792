/* A kept file that a backend sends costs no stream; where one is needed there is one, and nobody can tell the difference. */
import fastifyStatic from '@fastify/static'
import type { FastifyStaticOptions } from '@fastify/static'
import { once } from 'node:events'
import fs, { truncateSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import t from 'tap'
import { loadBinding } from '../../lib/binding'
import type { FastifyKtlsOptions, FallbackReason } from '../../types/index'
import { BACKEND, statsOf } from '../support/backend'
import { ask, get, open, readReply, receive } from '../support/client'
import type { RawClient } from '../support/client'
import { listen } from '../support/events'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { startServer } from '../support/server'
import type { TestServer } from '../support/server'
import { keepAllBuffersSmall } from '../support/sockets'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

const keepingStatic = require('fastify-ktls/static') as typeof fastifyStatic

/** Milliseconds after which a file counts as unchanged. */
const OLD = 30
/** The first answer, and the one that is learnt. */
const LEARNT = 2
const DEBUG = 20
const WARN = 40
/** More than the buffers of a connection hold where they are kept small. */
const BIG = 4 << 20

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const path = `/${file.name}`

t.before(() => {
  const end = Date.now() + OLD
  return until(() => Date.now() > end)
})

interface Options {
  readonly ktls?: FastifyKtlsOptions
  readonly setup?: (app: FastifyInstance) => void
  readonly root?: string
}

function serve (t: Tap.Test, { ktls = {}, setup, root = folder }: Options = {}): Promise<TestServer> {
  return startServer(t, {
    ktls,
    setup: async app => {
      setup?.(app)
      await app.register(keepingStatic, { root })
    }
  })
}

/** How many streams of files are made from now on. */
function countStreams (t: Tap.Test): () => number {
  const { createReadStream } = fs
  let count = 0
  fs.createReadStream = (...args) => {
    count++
    return createReadStream(...args)
  }
  t.teardown(() => { fs.createReadStream = createReadStream })
  return () => count
}

t.test('from the second answer on no stream is made', async t => {
  const { app, port, decisions } = await serve(t)
  const client = await open(port)
  const reply = async (headers: string[] = []) => {
    ask(client, path, headers)
    return readReply(client)
  }
  for (let time = 0; time < LEARNT; time++) t.equal((await reply()).sha256, file.sha256)
  const streams = countStreams(t)
  for (let time = 0; time < 5; time++) t.equal((await reply()).sha256, file.sha256)
  t.equal((await reply(['Range: bytes=7-200006'])).body.length, 200_000)
  t.equal((await reply(['Range: bytes=7-9'])).body.length, 3)
  t.equal(streams(), 0)
  t.match(await decisions(9), [...Array(8).fill({ path: 'file', backend: BACKEND, reason: null }), { path: BACKEND === 'plain' ? 'node' : 'write', reason: 'too-small' }])
  t.match(app.ktls.stats().files, { open: 1, hits: 7 })
})

interface Case extends Options {
  readonly what: string
  readonly headers?: readonly string[]
  /** Where the reply does not go as a file. */
  readonly reason?: FallbackReason
}

const CASES: readonly Case[] = [
  { what: 'an onSend hook', setup: app => { app.addHook('onSend', async () => {}) } },
  { what: 'a route that is opted out', setup: app => { app.addHook('onRoute', route => { route.config = { ...route.config, ktls: false } }) }, reason: 'route-opted-out' },
  { what: 'a larger minSize', ktls: { minSize: 300_001 }, reason: 'too-small' },
  { what: 'a strict Content-Length', setup: app => { app.addHook('onRequest', async (_request, { raw }) => { raw.strictContentLength = true }) }, reason: 'strict-content-length' }
]

for (const { what, reason = null, ...options } of CASES) {
  t.test(`a stream for ${what}`, async t => {
    const { app, port, decisions } = await serve(t, options)
    const client = await open(port)
    const streams = countStreams(t)
    for (let time = 1; time <= LEARNT + 2; time++) {
      ask(client, path)
      t.equal((await readReply(client)).sha256, file.sha256)
      t.equal(streams(), time)
    }
    t.match(await decisions(LEARNT + 2), Array(LEARNT + 2).fill({ path: reason === null ? 'file' : 'node', reason }))
    t.match(app.ktls.stats().files, { hits: 2 })
  })
}

// A head that clients refuse, for want of one thing less in it.
t.test('a stream for trailers', async t => {
  const setup = (app: FastifyInstance) => { app.addHook('onRequest', async (_request, reply) => { reply.trailer('x-after', async () => 'all') }) }
  const bytesOf = async ({ port }: TestServer) => {
    const { tls } = await get(port, path, ['Connection: close'])
    return sha256(Buffer.from((await buffer(tls)).toString('latin1').replace(/^Date: .*$/m, ''), 'latin1'))
  }
  const expected = await bytesOf(await serveFolder(t, folder, { setup }))
  const server = await serve(t, { setup })
  const streams = countStreams(t)
  for (let time = 1; time <= LEARNT + 2; time++) t.strictSame([await bytesOf(server), streams()], [expected, time])
  t.match(await server.decisions(LEARNT + 2), Array(LEARNT + 2).fill({ reason: 'trailers' }))
  t.match(server.app.ktls.stats().files, { hits: 2 })
})

t.test('a stream for requests that came at once', async t => {
  const { app, port, decisions } = await serve(t)
  const client = await open(port)
  for (let time = 0; time < LEARNT; time++) {
    ask(client, path)
    t.equal((await readReply(client)).sha256, file.sha256)
  }
  for (let time = 0; time < 3; time++) ask(client, path)
  for (let time = 0; time < 3; time++) t.equal((await readReply(client)).sha256, file.sha256)
  t.match(await decisions(LEARNT + 3), Array(LEARNT + 3).fill({ path: 'file', backend: BACKEND }))
  t.match(app.ktls.stats().files, { hits: 3 })
})

t.test('a stream where there is no descriptor left for another one', async t => {
  const loaded = loadBinding()
  if (!('binding' in loaded)) return t.fail('no binding')
  const { binding } = loaded
  const { app, port, decisions } = await serve(t)
  const client = await open(port)
  const { duplicate } = binding
  t.teardown(() => { Object.assign(binding, { duplicate }) })
  const streams = countStreams(t)
  for (let time = 0; time < LEARNT + 2; time++) {
    if (time === LEARNT) Object.assign(binding, { duplicate: () => -24 })
    ask(client, path)
    t.equal((await readReply(client)).sha256, file.sha256)
  }
  Object.assign(binding, { duplicate })
  t.equal(streams(), LEARNT + 2)
  ask(client, path)
  t.equal((await readReply(client)).sha256, file.sha256)
  t.equal(streams(), LEARNT + 2)
  const [byFile, byNode] = [{ path: 'file' }, { path: BACKEND === 'plain' ? 'node' : 'write', reason: 'no-resources' }]
  t.match(await decisions(LEARNT + 3), [byFile, byFile, byNode, byNode, byFile])
  await until(() => statsOf(app).connections.open === 1)
})

/** What is told of a reply, in its order, and the streams that it took. */
interface Told {
  readonly events: string[]
  readonly log: unknown[][]
  readonly streams: number
}

type End = (client: RawClient, path: string, response: ServerResponse) => unknown

/** Asks for a big file that is known by then, and does what `end` does to a reply that has begun. */
async function told (t: Tap.Test, plugin: FastifyPluginAsync<FastifyStaticOptions>, ktls: FastifyKtlsOptions | undefined, end: End): Promise<Told> {
  keepAllBuffersSmall(t)
  const root = makeFolder(t)
  const big = makeFile(root, BIG)
  const old = Date.now() + OLD
  await until(() => Date.now() > old)
  const events: string[] = []
  let response: ServerResponse
  const { app, port, log } = await startServer(t, {
    ...ktls && { ktls },
    logLevel: 'debug',
    setup: async app => {
      app.addHook('onRequest', async ({ raw: request, raw: { socket } }, { raw }) => {
        response = raw
        for (const name of ['finish', 'close', 'error']) raw.on(name, () => events.push(`response ${name}`))
        request.on('aborted', () => events.push('request aborted'))
        socket.once('close', () => events.push('socket close'))
      })
      app.addHook('onResponse', async () => { events.push('onResponse') })
      app.addHook('onRequestAbort', async _request => { events.push('onRequestAbort') })
      await app.register(plugin, { root })
    }
  })
  for (let time = 0; time < LEARNT; time++) {
    const client = await get(port, `/${big.name}`, ['Connection: close'])
    t.equal((await receive(client)).sha256, big.sha256)
  }
  // Its first reply may have to wait for session tickets, by a stream.
  const client = await open(port)
  ask(client, '/none')
  await readReply(client)
  await until(() => events.filter(event => event === 'response close').length === LEARNT + 1)
  events.length = log.length = 0
  const streams = countStreams(t)
  ask(client, `/${big.name}`, ['Connection: close'])
  await once(client.tls, 'readable')
  await end(client, big.path, response!)
  await until(() => events.includes('socket close'))
  await app.close()
  const lines = log.filter(({ level }) => Number(level) > DEBUG).map(({ level, msg, err }) => [level, msg, (err as { code?: string } | undefined)?.code])
  return { events, log: lines, streams: streams() }
}

t.test('what is told of a reply', async t => {
  const ends: Record<string, End> = {
    'that is read': client => receive(client),
    'whose client leaves': client => client.tcp.resetAndDestroy(),
    'that the application cuts': (_client, _path, { socket }) => socket!.destroy()
  }
  for (const [what, end] of Object.entries(ends)) {
    await t.test(what, async t => {
      const heard = listen(t)
      const { streams: _, ...without } = await told(t, fastifyStatic, undefined, end)
      t.strictSame(await told(t, keepingStatic, {}, end), { ...without, streams: 0 })
      t.equal(heard.at(-1)!.event, what === 'that is read' ? 'transfer.finished' : 'transfer.aborted')
    })
  }
})

t.test('a file that becomes shorter while it is sent', async t => {
  const { events, log } = await told(t, keepingStatic, {}, async (client, path) => {
    truncateSync(path, BIG / 2)
    await receive(client)
  })
  t.notOk(events.includes('response finish'))
  t.strictSame(log.filter(([level]) => level === WARN), [[WARN, 'fastify-ktls: the file could not be sent whole', 'FST_KTLS_FILE_TRUNCATED']])
})
