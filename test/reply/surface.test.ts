import '../double/install'
import { execFileSync } from 'node:child_process'
import fs, { closeSync, createReadStream, openSync, writeSync } from 'node:fs'
import type { ReadStream } from 'node:fs'
import { ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { connect } from 'node:tls'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t from 'tap'
import type { FallbackReason } from '../../types/index'
import { certificate } from '../certificate'
import { ONLY, statsOf } from '../support/backend'
import { get, receive } from '../support/client'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { ktls } from '../support/plugin'
import { request } from '../support/request'
import { listen, startServer } from '../support/server'
import type { Listener } from '../support/server'
import { until } from '../support/wait'

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const small = makeFile(folder, 16_383)
const stream = () => createReadStream(file.path)

interface Case {
  readonly name: string
  readonly method?: 'GET' | 'HEAD'
  /** null: offloaded. */
  readonly reason: FallbackReason | null
  readonly send: (reply: FastifyReply) => FastifyReply
  /** What the client must get; the file unless given. */
  readonly body?: string
  readonly opted?: boolean
}

const REPLIES: readonly Case[] = [
  { name: 'a file', reason: null, send: reply => reply.send(stream()) },
  { name: 'a route that opted in', opted: true, reason: null, send: reply => reply.send(stream()) },
  { name: 'a route that opted out', opted: false, reason: 'route-opted-out', send: reply => reply.send(stream()) },
  { name: 'a file of fewer bytes than minSize', reason: 'too-small', send: reply => reply.send(createReadStream(small.path)), body: small.sha256 },
  { name: 'the same, its length given', reason: 'too-small', send: reply => reply.header('content-length', small.size).send(createReadStream(small.path)), body: small.sha256 },
  { name: 'a text', reason: 'data', send: reply => reply.send('text'), body: sha256('text') },
  { name: 'a stream of another kind', reason: 'stream', send: reply => reply.send(Readable.from(['other'])), body: sha256('other') },
  { name: 'a file through a transform', reason: 'stream', send: reply => reply.send(stream().pipe(new PassThrough())) },
  { name: 'trailers', reason: 'trailers', send: reply => reply.trailer('x-sum', async () => 'sum').send(stream()) },
  { name: 'trailers that a header announces', reason: 'trailers', send: reply => reply.header('trailer', 'x-sum').send(stream()) },
  { name: 'trailers of the raw response', reason: 'trailers', send: reply => trailing(reply).send(stream()) },
  { name: 'a response with its own write', reason: 'response-modified', send: reply => ownWrite(reply).send(stream()) },
  { name: 'a small file on a response with its own end', reason: 'too-small', send: reply => ownEnd(reply).send(createReadStream(small.path)), body: sha256(Buffer.concat([fs.readFileSync(small.path), Buffer.from('!')])) },
  // Not the way the plugin writes it, though the same length.
  { name: 'a Content-Length of its own kind', reason: 'content-length-mismatch', send: reply => reply.header('content-length', `0${file.size}`).send(stream()) },
  { name: 'Transfer-Encoding', reason: 'transfer-encoding', send: reply => reply.header('transfer-encoding', 'chunked').send(stream()) },
  { name: 'Transfer-Encoding, set on the raw response', reason: 'transfer-encoding', send: reply => raw(reply, { 'transfer-encoding': 'chunked' }).send(stream()) },
  { name: 'Content-Length, set on the raw response', reason: null, send: reply => raw(reply, { 'content-length': file.size }).send(stream()) },
  { name: 'strictContentLength', reason: 'strict-content-length', send: reply => strict(reply).header('content-length', file.size).send(stream()) },
  { name: 'a head that is sent', reason: 'headers-sent', send: reply => flushed(reply).send(stream()) },
  { name: 'HEAD', method: 'HEAD', reason: 'no-body', send: reply => reply.send(stream()), body: sha256('') },
  { name: 'status 304', reason: 'no-body', send: reply => reply.code(304).send(stream()), body: sha256('') },
  { name: 'a stream with its own fs', reason: 'custom-fs', send: reply => reply.send(createReadStream(file.path, { fs: { ...fs } })) },
  { name: 'a stream with its own pipe', reason: 'stream-modified', send: reply => reply.send(ownPipe(stream())) },
  { name: 'a stream with its own _read', reason: 'stream-modified', send: reply => reply.send(ownRead(stream())) },
  { name: 'a stream with an encoding', reason: 'stream-decoded', send: reply => reply.send(stream().setEncoding('latin1')), body: sha256(fs.readFileSync(file.path, 'latin1')) },
  { name: 'a stream that was paused', reason: 'stream-in-use', send: reply => reply.send(stream().pause()) },
  { name: 'a stream from a position', reason: 'stream-without-start', send: reply => reply.send(createReadStream('', { fd: openSync(file.path, 'r'), autoClose: false })) },
  { name: 'a file of /proc', reason: 'not-a-regular-file', send: reply => reply.send(createReadStream('/proc/version')), body: sha256(fs.readFileSync('/proc/version')) },
  { name: 'a FIFO', reason: 'not-a-regular-file', send: reply => reply.send(fifo('through a FIFO')), body: sha256('through a FIFO') }
]

function raw (reply: FastifyReply, headers: Record<string, string | number>): FastifyReply {
  for (const [name, value] of Object.entries(headers)) reply.raw.setHeader(name, value)
  return reply
}

function strict (reply: FastifyReply): FastifyReply {
  reply.raw.strictContentLength = true
  return reply
}

function flushed (reply: FastifyReply): FastifyReply {
  reply.raw.flushHeaders()
  return reply
}

function trailing (reply: FastifyReply): FastifyReply {
  reply.raw.addTrailers({ 'x-sum': 'sum' })
  return reply
}

function ownWrite (reply: FastifyReply): FastifyReply {
  const { write } = reply.raw
  reply.raw.write = function (this: typeof reply.raw, ...args: unknown[]) { return Reflect.apply(write, this, args) }
  return reply
}

/** One that has something left to write at the end, as compression has. */
function ownEnd (reply: FastifyReply): FastifyReply {
  const { end } = reply.raw
  reply.raw.end = function (this: typeof reply.raw, ...args: unknown[]) {
    if (args.length > 0) throw new Error('the body is given to write()')
    return Reflect.apply(end, this, ['!'])
  }
  return reply
}

function ownPipe (stream: ReadStream): ReadStream {
  stream.pipe = function pipe<T extends NodeJS.WritableStream> (destination: T) {
    return Readable.prototype.pipe.call(stream, destination) as T
  }
  return stream
}

function ownRead (stream: ReadStream): ReadStream {
  const { _read } = stream
  stream._read = size => _read.call(stream, size)
  return stream
}

/** Held open for writing, so that opening it for reading does not block. */
function fifo (text: string): ReadStream {
  const path = join(folder, 'fifo')
  execFileSync('mkfifo', [path])
  const fd = openSync(path, 'r+')
  return createReadStream(path).once('open', () => {
    writeSync(fd, text)
    closeSync(fd)
  })
}

t.test('each reply goes by its path, for its reason', async t => {
  const pending: unknown[] = []
  const { app, origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      for (const [index, { method = 'GET', opted, send }] of REPLIES.entries()) {
        app.route({
          method,
          url: `/${index}`,
          config: opted === undefined ? {} : { ktls: opted },
          handler: (request, reply) => {
            pending.push(request.ktls)
            return send(reply)
          }
        })
      }
    }
  })
  for (const [index, { name, method = 'GET', reason, body = file.sha256 }] of REPLIES.entries()) {
    const { sha256, headers } = await request(`${origin}/${index}`, { method })
    t.equal(sha256, body, name)
    const [decision] = await decisions(1)
    t.match(decision, { reason, offloaded: reason === null, path: reason === null ? 'file' : 'node', version: 'TLSv1.3' }, name)
    if (reason === null) t.equal(headers['content-length'], String(file.size))
  }
  t.strictSame(new Set(pending), new Set([{ offloaded: false, path: null, backend: null, version: null, cipher: null, reason: 'pending' }]), 'pending in every handler')
  const { connections, replies, fallbacks } = statsOf(app)
  const offloaded = REPLIES.filter(({ reason }) => reason === null).length
  t.equal(connections.promoted, offloaded)
  t.strictSame(replies, { file: offloaded, write: 0, node: REPLIES.length - offloaded })
  for (const [reason, count] of Object.entries(fallbacks)) {
    t.equal(count, REPLIES.filter(reply => reply.reason === reason).length, `${reason} is counted`)
  }
})

t.test('on a promoted connection what is no file is written, sealed by the backend', async t => {
  const { Client } = await import('undici')
  const { app, origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/file', (_request, reply) => reply.send(stream()))
      app.get('/small', (_request, reply) => reply.send(createReadStream(small.path)))
      app.get('/opted-out', { config: { ktls: false } }, (_request, reply) => reply.send(stream()))
      app.get('/json', async () => ({}))
    }
  })
  const client = new Client(origin, { connect: { rejectUnauthorized: false } })
  t.teardown(() => client.close())
  for (const [path, hash] of [['/file', file.sha256], ['/small', small.sha256], ['/opted-out', file.sha256], ['/json', sha256('{}')]] as const) {
    const { body } = await client.request({ path, method: 'GET' })
    t.equal(sha256(new Uint8Array(await body.arrayBuffer())), hash, path)
  }
  t.strictSame((await decisions(4)).map(({ path, reason }) => [path, reason]), [
    ['file', null],
    ['write', 'too-small'],
    ['write', 'route-opted-out'],
    ['write', 'data']
  ])
  const { connections, bytes } = statsOf(app)
  t.match(connections, { seen: 1, promoted: 1 })
  t.equal(bytes.file, file.size)
  t.ok(bytes.write > small.size + file.size)
})

t.test('replies without a body say so', async t => {
  const { origin, decisions } = await startServer(t, {
    ktls: {},
    setup: async app => {
      await app.register(fastifyStatic, { root: folder, prefix: '/static' })
      // Fastify answers HEAD here too.
      app.get('/file', (_request, reply) => reply.send(stream()))
      app.get('/empty', (_request, reply) => reply.code(204).send(stream()))
    }
  })
  const unmodified = { 'if-none-match': '*' }
  for (const [path, method, headers] of [
    ['/file', 'HEAD', {}], ['/empty', 'GET', {}], [`/static/${file.name}`, 'HEAD', {}], [`/static/${file.name}`, 'GET', unmodified]
  ] as const) {
    t.equal((await request(origin + path, { method, headers })).body.length, 0)
    t.match(await decisions(1), [{ path: 'node', reason: 'no-body' }], path)
  }
})

t.test('replies that come past Fastify are counted', async t => {
  const replies: Readonly<Record<string, (reply: FastifyReply) => void>> = {
    '/hijacked': reply => {
      reply.hijack()
      reply.raw.end('hijacked')
    },
    '/raw': reply => { reply.raw.end('raw') },
    '/raw-file': reply => { stream().pipe(reply.raw) }
  }
  const { app, origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => { for (const [path, send] of Object.entries(replies)) app.get(path, (_request, reply) => send(reply)) }
  })
  for (const path of Object.keys(replies)) {
    t.equal((await request(origin + path)).status, 200)
    t.match(await decisions(1), [{ offloaded: false, path: 'node', reason: 'hijacked' }], path)
  }
  t.match(statsOf(app), { replies: { node: 3 }, fallbacks: { hijacked: 3 } })
  t.equal((await app.inject('/hijacked')).body, 'hijacked')
  t.match(await decisions(1), [{ offloaded: false, path: 'node', reason: 'hijacked' }], 'by inject()')
})

t.test('whoever began the response: another instance handles it, or the application made it for an upgrade', async t => {
  const other = Fastify()
  other.register(ktls)
  other.get('/', async () => 'nested')
  await other.ready()
  t.teardown(() => other.close())
  const { app, port, origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/', (request, reply) => {
        reply.hijack()
        other.routing(request.raw, reply.raw)
      })
      app.get('/upgrade', (_request, reply) => {
        reply.hijack()
        reply.raw.end('refused')
      })
      // As @fastify/websocket does.
      app.server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
        const response = new ServerResponse(request)
        response.assignSocket(socket)
        response.once('finish', () => socket.end())
        app.routing(request, response)
      })
    }
  })
  t.equal((await request(origin)).body.toString(), 'nested')
  t.match(await decisions(1), [{ path: 'node', reason: 'hijacked' }])
  t.match(statsOf(other).fallbacks, { 'not-captured': 1 })
  const { body } = await receive(await get(port, '/upgrade', ['Connection: Upgrade', 'Upgrade: websocket']))
  t.equal(body.toString(), 'refused')
  t.match(statsOf(app), { replies: { node: 2 }, fallbacks: { hijacked: 2 } })
})

t.test('a file that an older hook has sent, and a later one wraps, is counted', async t => {
  const app = Fastify({ https: await certificate() })
  const seen: unknown[] = []
  app.addHook('onResponse', async request => { seen.push(request.ktls) })
  app.addHook('onRequest', (_request, reply) => { reply.send(stream()) })
  app.register(ktls, ONLY)
  app.addHook('onSend', async (_request, _reply, payload) => (payload as Readable).pipe(new PassThrough()))
  const port = await listen(t, app as unknown as Listener)
  t.equal((await request(`https://127.0.0.1:${port}`)).sha256, file.sha256)
  await until(() => seen.length === 1)
  t.match(seen, [{ path: 'node', reason: 'payload-wrapped' }])
})

t.test('they are counted before the onResponse hooks run, also those that are older than the plugin', async t => {
  for (const create of [async () => Fastify({ https: await certificate() }), async () => Fastify()]) {
    const app = await create() as unknown as FastifyInstance
    const seen: unknown[] = []
    app.addHook('onResponse', async request => { seen.push(request.ktls) })
    app.register(ktls, ONLY)
    app.get('/', (_request, reply) => {
      reply.hijack()
      reply.raw.end('hijacked')
    })
    const port = await listen(t, app as unknown as Listener)
    const scheme = app.initialConfig.https === undefined ? 'http' : 'https'
    t.equal((await request(`${scheme}://127.0.0.1:${port}`)).status, 200)
    await until(() => seen.length === 1)
    t.match(seen, [{ path: 'node', reason: 'hijacked' }], scheme)
  }
})

t.test('routes of contexts that were registered before the plugin are reached', async t => {
  for (const create of [Fastify, require('fastify-5.0') as typeof Fastify]) {
    const seen: unknown[] = []
    const app = create({ https: await certificate() })
    app.register(async child => {
      child.get('/child', (_request, reply) => reply.send(stream()))
      child.register(async grandchild => { grandchild.get('/grandchild', (_request, reply) => reply.send(stream())) })
      child.addHook('onResponse', async request => { seen.push(request.ktls) })
    })
    app.register(ktls, ONLY)
    const port = await listen(t, app as unknown as Listener)
    for (const path of ['/child', '/grandchild']) t.equal((await request(`https://127.0.0.1:${port}${path}`)).sha256, file.sha256)
    await until(() => seen.length === 2)
    t.match(seen, [{ offloaded: true, reason: null }, { offloaded: true, reason: null }])
    t.match(statsOf(app).replies, { file: 2 })
  }
})

t.test('a Unix socket is for no backend', async t => {
  const path = join(folder, 'socket')
  const decided: unknown[] = []
  const app = Fastify({ https: await certificate() })
  await app.register(ktls, ONLY)
  app.addHook('onResponse', async request => { decided.push(request.ktls) })
  app.get('/', (_request, reply) => reply.header('content-length', file.size).send(stream()))
  await app.listen({ path })
  t.teardown(() => app.close())
  const tls = connect({ path, rejectUnauthorized: false })
  tls.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  const bytes = await buffer(tls)
  t.equal(sha256(bytes.subarray(bytes.indexOf('\r\n\r\n') + 4)), file.sha256)
  await until(() => decided.length === 1)
  t.match(decided, [{ path: 'node', reason: 'unix-socket' }])
})

t.test("an error's own reply is a file", async t => {
  const setup: Parameters<typeof startServer>[1]['setup'] = app => {
    app.setErrorHandler((_error, _request, reply) => reply.code(500).send(createReadStream(small.path)))
    app.get('/directory', (_request, reply) => reply.send(createReadStream(folder)))
    app.get('/head', (_request, reply) => {
      const { writeHead } = reply.raw
      // As a hook of on-headers that throws.
      reply.raw.writeHead = () => {
        reply.raw.writeHead = writeHead
        throw new Error('no head')
      }
      return reply.send(stream())
    })
  }
  const { app, origin, decisions } = await startServer(t, { ktls: { minSize: 0 }, setup })
  for (const [path, reason] of [['/directory', 'not-a-regular-file'], ['/head', null]] as const) {
    const { status, sha256 } = await request(origin + path)
    t.equal(status, 500)
    t.equal(sha256, small.sha256, path)
    if (reason !== null) t.match(await decisions(1), [{ path: 'node', reason }])
  }
  const { bytes, replies } = statsOf(app)
  t.equal(bytes.file, replies.file * small.size)
})

t.test('errors of opening and reading give the ordinary error reply', async t => {
  const setup: Parameters<typeof startServer>[1]['setup'] = app => {
    app.get('/directory', (_request, reply) => reply.send(createReadStream(folder)))
    app.get('/gone', (_request, reply) => reply.send(createReadStream(join(folder, 'gone'))))
  }
  const plain = await startServer(t, { setup })
  const tested = await startServer(t, { ktls: {}, setup })
  for (const [path, reason] of [['/directory', 'not-a-regular-file'], ['/gone', 'data']] as const) {
    const [expected, got] = [await request(plain.origin + path), await request(tested.origin + path)]
    t.equal(got.status, 500)
    t.strictSame([got.status, got.headers['content-type'], got.body.toString()], [expected.status, expected.headers['content-type'], expected.body.toString()])
    t.match(await tested.decisions(1), [{ path: 'node', reason }])
  }
})

t.test('it is registered once', async t => {
  const twice = { code: 'FST_KTLS_ALREADY_REGISTERED', message: /already registered/ }
  for (const [what, setup, expected] of [
    ['twice in one instance', app => app.register(ktls).register(ktls), twice],
    ['twice, once without effect', app => app.register(ktls, { mode: 'off' }).register(ktls), twice],
    ['in a child too', app => app.register(ktls).register(async child => { await child.register(ktls) }), twice],
    ['beside a decorator of the application', app => app.decorate('ktls', {} as never).register(ktls), { code: 'FST_ERR_DEC_ALREADY_PRESENT' }],
    ['in two children', app => app.register(async child => { await child.register(ktls) }).register(async child => { await child.register(ktls) }), undefined]
  ] as ReadonlyArray<[string, (app: FastifyInstance) => unknown, { code: string } | undefined]>) {
    const app = Fastify()
    setup(app)
    const ready = Promise.resolve(app.ready())
    await (expected === undefined ? t.resolves(ready, what) : t.rejects(ready, expected, what))
    await app.close()
  }
})
