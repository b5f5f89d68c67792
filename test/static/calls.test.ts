/* reply.sendFile and reply.download answer from kept files what @fastify/static does. */
import { createReadStream, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { FastifyStaticOptions, SendOptions } from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { fileCountersOf } from '../../lib/observe/file-counters'
import { makeFolder } from '../support/files'
import { until } from '../support/wait'
import { compared } from './compared'

/** Twice or three times to learn, then from what is kept. */
const TIMES = 5

const root = makeFolder(t)
const other = makeFolder(t)
writeFileSync(join(root, 'a.txt'), 'a'.repeat(5000))
writeFileSync(join(root, 'a.txt.br'), 'compressed')
writeFileSync(join(root, 'page.html'), '<p>page</p>')
writeFileSync(join(other, 'a.txt'), 'the other root')

t.before(() => until(() => Date.now() - statSync(other).ctimeMs > 50))

type Handler = (reply: FastifyReply, request: FastifyRequest) => unknown

interface Case {
  readonly what: string
  readonly handler: Handler
  /** From what is kept, at least; 0: never. */
  readonly hits?: number
  readonly options?: Partial<FastifyStaticOptions>
}

const CASES: readonly Case[] = [
  { what: 'sendFile', handler: reply => reply.sendFile('a.txt') },
  { what: 'a slash before', handler: reply => reply.sendFile('/a.txt') },
  { what: 'another root', handler: reply => reply.sendFile('a.txt', other) },
  { what: 'another root among the options', handler: reply => reply.sendFile('a.txt', { root: other } as SendOptions) },
  { what: 'options', handler: reply => reply.sendFile('a.txt', { maxAge: '1d', immutable: true, etag: false }) },
  { what: 'root and options', handler: reply => reply.sendFile('a.txt', other, { cacheControl: false, acceptRanges: false }) },
  { what: 'extensions', handler: reply => reply.sendFile('page', { extensions: ['html'] }) },
  { what: 'compressed siblings', handler: reply => reply.sendFile('a.txt'), options: { preCompressed: true } },
  { what: 'no root of its own', handler: reply => reply.sendFile('a.txt', other), options: { serve: false } as Partial<FastifyStaticOptions> },
  { what: 'download', handler: reply => reply.download('a.txt') },
  { what: 'download by a name', handler: reply => reply.download('a.txt', 'näme.txt') },
  { what: 'download by a name, with options', handler: reply => reply.download('a.txt', 'n.txt', { maxAge: 1000 }) },
  { what: 'download with options', handler: reply => reply.download('a.txt', { root: other } as SendOptions) },
  { what: 'headers before and after', handler: reply => reply.header('x-before', '1').sendFile('a.txt').header('x-after', '2') },
  { what: 'a header of the same name before', handler: reply => reply.header('cache-control', 'private').sendFile('a.txt'), hits: 0 },
  { what: 'a header of the same name after', handler: reply => reply.sendFile('a.txt').header('etag', '"mine"'), hits: 0 },
  { what: 'a status after', handler: reply => reply.sendFile('a.txt').code(202), hits: 0 },
  { what: 'another disposition after', handler: reply => reply.download('a.txt').header('content-disposition', 'inline') },
  { what: 'an async handler', handler: async reply => reply.sendFile('a.txt') },
  { what: 'an async handler that awaits it', handler: async reply => { await reply.sendFile('a.txt') } },
  { what: 'what is not there', handler: reply => reply.sendFile('none.txt') },
  { what: 'what is not there, in an async handler', handler: async reply => { await reply.sendFile('none.txt') } },
  { what: 'a download of what is not there', handler: reply => reply.download('none.txt') },
  { what: 'what is not there, under a status', handler: reply => reply.code(202).sendFile('none.txt'), hits: 0 },
  { what: 'a status after what is not there', handler: reply => reply.sendFile('none.txt').code(202) },
  { what: 'a folder above', handler: reply => reply.sendFile('../a.txt'), hits: 0 },
  { what: 'an option that is a function', handler: reply => reply.sendFile('a.txt', { onFile: () => {} } as SendOptions), hits: 0 },
  { what: 'a part by options', handler: reply => reply.sendFile('a.txt', { start: 5, end: 9 } as SendOptions), hits: 0 },
  { what: 'a root that is not absolute', handler: reply => reply.sendFile('a.txt', relative(process.cwd(), other)), hits: 0 },
  { what: 'an option that is undefined', handler: reply => reply.sendFile('a.txt', { etag: undefined } as unknown as SendOptions), hits: 0, options: { etag: false } }
]

function hitsOf (app: FastifyInstance): number {
  return fileCountersOf(app.server).snapshot().hits
}

for (const { what, handler, hits = 2, options = {} } of CASES) {
  t.test(what, async t => {
    const { ask, kept } = await compared(t, { root, prefix: '/files/', ...options } as FastifyStaticOptions, app => {
      app.get('/', (request, reply) => handler(reply, request))
    })
    for (const headers of [{}, { 'accept-encoding': 'br' }, { range: 'bytes=1-3' }, { 'if-none-match': '*' }]) {
      const before = hitsOf(kept)
      for (let time = 1; time <= TIMES; time++) {
        const [one, two] = await ask({ url: '/', headers })
        t.equal(one, two, JSON.stringify(headers))
      }
      t.ok(hitsOf(kept) - before >= hits, 'from what is kept')
      if (hits === 0) t.equal(hitsOf(kept), before)
    }
  })
}

t.test('two handlers that send one file, each with its own headers', async t => {
  const { ask } = await compared(t, { root }, app => {
    app.get('/one', (_request, reply) => reply.download('a.txt').header('content-disposition', 'inline').header('x-one', '1'))
    app.get('/two', (_request, reply) => reply.download('a.txt'))
    app.post('/three', (_request, reply) => reply.header('x-three', '3').sendFile('a.txt'))
    app.get('/four', (request, reply) => reply.sendFile(`${(request.query as { file: string }).file}`))
    app.setNotFoundHandler((_request, reply) => reply.code(200).sendFile('page.html'))
  })
  for (let time = 1; time <= TIMES; time++) {
    for (const url of ['/one', '/two', '/three', '/four?file=a.txt', '/four?file=page.html', '/four?file=.', '/a.txt', '/none', '/none/none']) {
      const [one, two] = await ask({ url, method: url === '/three' ? 'POST' : 'GET' })
      t.equal(one, two, url)
    }
  }
})

t.test('what is not there is answered by the application itself, with its hooks', async t => {
  let calls = 0
  const { ask, kept } = await compared(t, { root, prefix: '/files/' }, app => {
    app.setNotFoundHandler({ preHandler: async (_request: FastifyRequest, reply: FastifyReply) => { reply.header('x-hook', 'ran') } }, async ({ method, url, is404 }, reply) => {
      calls++
      return reply.code(410).send({ method, url, is404 })
    })
  })
  for (let time = 1; time <= TIMES; time++) {
    for (const method of ['GET', 'HEAD'] as const) {
      const [one, two] = await ask({ method, url: `/files/none.txt?time=${time}` })
      t.equal(one, two)
    }
  }
  t.equal(calls, 2 * 2 * TIMES)
  t.ok(hitsOf(kept) >= 2 * (TIMES - 2))
})

t.test("one handler's status is not another's", async t => {
  const { ask, kept } = await compared(t, { root }, app => {
    app.get('/accepted', (_request, reply) => reply.sendFile('a.txt').code(202))
    app.get('/plain', (_request, reply) => reply.sendFile('a.txt'))
  })
  for (const url of ['/accepted', '/plain', '/accepted', '/plain']) {
    for (let time = 1; time <= TIMES; time++) {
      const [one, two] = await ask({ url })
      t.equal(one, two, url)
    }
  }
  t.ok(hitsOf(kept) >= 2)
})

t.test('a setHeaders that throws, or sends something itself, at first', async t => {
  for (const act of [
    () => { throw new Error('not yet') },
    (reply: FastifyReply) => { reply.send('mine') }
  ]) {
    const calls = new WeakMap<object, number>()
    const { ask } = await compared(t, {
      root,
      setHeaders: (reply, path) => {
        const call = (calls.get(reply.server) ?? 0) + 1
        calls.set(reply.server, call)
        reply.header('x-call', `${call} ${path}`)
        if (call <= 3) act(reply)
      }
    }, app => {
      app.setErrorHandler((_error, _request, reply) => reply.code(200).send(createReadStream(join(root, 'a.txt'), { start: 100 })))
    })
    for (let time = 1; time <= 3 + TIMES; time++) {
      const [one, two] = await ask({ url: '/a.txt' })
      t.equal(one, two, `time ${time}`)
    }
  }
})

t.test('a reply that was sent meanwhile, or in the same turn', async t => {
  const { ask } = await compared(t, { root }, app => {
    app.get('/same', (_request, reply) => { reply.sendFile('a.txt').send('mine') })
    app.get('/twice', (_request, reply) => { reply.sendFile('a.txt').sendFile('a.txt') })
    app.addHook('onSend', async (_request, reply, payload) => {
      reply.header('x-type', typeof payload)
      return payload
    })
  })
  for (let time = 1; time <= TIMES; time++) {
    for (const url of ['/same', '/twice']) {
      const [one, two] = await ask({ url })
      t.equal(one, two, url)
    }
  }
})
