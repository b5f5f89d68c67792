/* What no onSend hook sees is sent as bytes; nothing that the application or the client can see differs from a stream. */
import { ReadStream, statSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { FastifyStaticOptions } from '@fastify/static'
import t from 'tap'
import { fileCountersOf } from '../../lib/observe/file-counters'
import { makeFolder } from '../support/files'
import { request } from '../support/request'
import { until } from '../support/wait'
import { compared, comparedOverSockets, seeing } from './compared'

/** Two to learn, then from what is kept. */
const TIMES = 4

const root = makeFolder(t)
writeFileSync(join(root, 'a.txt'), 'a'.repeat(5000))
writeFileSync(join(root, 'empty.txt'), '')
writeFileSync(join(root, 'large.bin'), 'b'.repeat(100_000))

t.before(() => until(() => Date.now() - statSync(root).ctimeMs > 50))

interface Case {
  readonly what: string
  readonly setup?: (app: FastifyInstance) => void
  readonly setHeaders?: FastifyStaticOptions['setHeaders']
  readonly options?: Omit<FastifyStaticOptions, 'root'>
}

const CASES: readonly Case[] = [
  { what: 'nothing' },
  { what: 'headers of reply.raw', setup: app => { app.addHook('onRequest', async (_request, reply) => { reply.raw.setHeader('X-Raw', 'Yes') }) } },
  { what: 'a header of reply.raw that the file has too', setup: app => { app.addHook('onRequest', async (_request, reply) => { reply.raw.setHeader('ETag', '"mine"') }) } },
  { what: 'another content-length', setHeaders: (reply, _path, { size }) => { if (size < 10_000) reply.header('content-length', 10) } },
  { what: 'no content-length', setHeaders: reply => { (reply as FastifyReply).removeHeader('content-length') } },
  { what: 'no content-type', setHeaders: reply => { (reply as FastifyReply).removeHeader('content-type') } },
  { what: 'no content-type by option', options: { contentType: false } },
  { what: 'another content-type', setHeaders: reply => { reply.header('content-type', 'nonsense') } },
  { what: 'another status', setHeaders: reply => { (reply as FastifyReply).code(404) } },
  { what: 'a status without a body', setHeaders: reply => { (reply as FastifyReply).code(204) } },
  { what: 'an error', setHeaders: () => { throw new Error('no headers') } },
  { what: 'no headers', options: { etag: false, lastModified: false, acceptRanges: false, cacheControl: false, contentType: false } },
  { what: 'an onSend hook', setup: app => { app.addHook('onSend', async (_request, reply, payload) => { reply.header('x-payload', payload instanceof ReadStream ? payload.path.toString().length : typeof payload) }) } },
  { what: 'an onSend hook of the route', setup: app => { app.addHook('onRoute', route => { route.onSend = async (_request, reply, payload) => { reply.header('x-payload', Buffer.isBuffer(payload) ? 'bytes' : typeof payload) } }) } },
  { what: 'a serializer', setup: app => { app.setReplySerializer(payload => `serialized ${typeof payload}`) } },
  {
    what: 'a writeHead of its own',
    setup: app => {
      app.addHook('onRequest', async (_request, { raw }) => {
        raw.writeHead = function (this: typeof raw, status: number) {
          this.setHeader('x-head', 'written')
          return Object.getPrototypeOf(this).writeHead.call(this, status)
        }
      })
    }
  },
  {
    what: 'a setHeader of its own',
    setup: app => {
      app.addHook('onRequest', async (_request, { raw }) => {
        const names: string[] = []
        raw.setHeader = function (this: typeof raw, name: string, value: string) {
          names.push(name)
          const { setHeader } = Object.getPrototypeOf(this)
          setHeader.call(this, 'x-names', names.join())
          return setHeader.call(this, name, value)
        }
      })
    }
  },
  { what: 'a head that is written', setup: app => { app.addHook('preHandler', async (_request, { raw }) => { raw.writeHead(200, { 'x-head': 'written' }) }) } }
]

async function fetch (port: number, path: string, method: string, headers: Record<string, string>): Promise<unknown> {
  try {
    const { status, rawHeaders, sha256 } = await request(`http://127.0.0.1:${port}${path}`, { method, headers })
    return { status, head: rawHeaders.filter((_value, i) => rawHeaders[i - i % 2] !== 'Date'), sha256 }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}

for (const { what, setup, setHeaders, options = {} } of CASES) {
  t.test(what, async t => {
    const seen = new WeakMap<FastifyInstance, string[]>()
    const { kept, plain } = await compared(t, { root, ...options, ...setHeaders && { setHeaders } }, app => {
      setup?.(app)
      const ends: string[] = []
      seen.set(app, ends)
      app.addHook('onError', async (_request, _reply, error) => { ends.push(error.message) })
      app.addHook('onResponse', async (_request, reply) => {
        const { date, ...headers } = reply.raw.getHeaders()
        ends.push(JSON.stringify([reply.statusCode, headers, reply.getHeaders(), reply.raw.writableFinished, reply.sent]))
      })
    })
    const [one, other] = await Promise.all([kept, plain].map(async app => {
      await app.listen({ port: 0, host: '127.0.0.1' })
      const { port } = app.server.address() as AddressInfo
      const replies: unknown[] = []
      for (const path of ['/a.txt', '/empty.txt', '/large.bin']) {
        for (const [method, headers] of [['GET', {}], ['HEAD', {}], ['GET', { 'if-none-match': '*' }], ['GET', { range: 'bytes=1-99' }]] as const) {
          for (let time = 1; time <= TIMES; time++) replies.push(await fetch(port, path, method, { ...headers }))
        }
      }
      await until(() => seen.get(app)!.length >= replies.length)
      return { replies, ends: seen.get(app)!.map(line => line.replace(/"date":"[^"]*",?/g, '')) }
    }))
    t.strictSame(one!.replies, other!.replies)
    t.strictSame(one!.ends, other!.ends)
  })
}

t.test('a stream is what is sent from a kept file that somebody sees, or that is not small', async t => {
  for (const isSeen of [false, true]) {
    let piped = 0
    const { ask, kept } = await comparedOverSockets(t, { root }, app => {
      if (isSeen) seeing(app)
      app.addHook('onRequest', async (_request, reply) => { reply.raw.once('pipe', () => { piped++ }) })
    })
    for (const [url, method, headers, isStream] of [
      ['/a.txt', 'GET', {}, isSeen], ['/a.txt', 'GET', { range: 'bytes=0-0' }, isSeen], ['/a.txt', 'HEAD', {}, isSeen], ['/a.txt', 'GET', { 'if-none-match': '*' }, isSeen],
      ['/large.bin', 'GET', {}, true], ['/empty.txt', 'GET', {}, true]
    ] as const) {
      for (let time = 1; time < TIMES; time++) await ask({ url, method, headers })
      piped = 0
      const { hits } = fileCountersOf(kept.server).snapshot()
      const [one, other] = await ask({ url, method, headers })
      t.equal(one, other)
      t.equal(fileCountersOf(kept.server).snapshot().hits, hits + 1)
      // One is @fastify/static's.
      t.equal(piped, isStream ? 2 : 1, `${method} ${url} ${JSON.stringify(headers)}`)
    }
  }
})
