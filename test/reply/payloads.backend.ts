/*
 * Each kind of payload that Fastify accepts: the same bytes, head, events and log as without the plugin, on a connection
 * of its own and on one that a backend has already.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, createReadStream, openAsBlob, openSync, readSync } from 'node:fs'
import type { ReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { createGzip } from 'node:zlib'
import type { FastifyReply } from 'fastify'
import graceful from 'graceful-fs'
import t from 'tap'
import type { FallbackReason } from '../../types/index'
import { BACKEND, SECURE } from '../support/backend'
import { makeFile, makeFolder } from '../support/files'
import { request } from '../support/request'
import type { Response } from '../support/request'
import { startServer } from '../support/server'
import type { TestServer } from '../support/server'

const LARGE = 400_000
const bytes = randomBytes(LARGE)
const text = bytes.toString('base64')
const list = Array.from({ length: 6_000 }, (_, index) => ({ index, name: `räksmörgås ${index}` }))

const folder = makeFolder(t)
const file = makeFile(folder, 500_000)
const small = makeFile(folder, 300)

/** A descriptor whose position is `position`. */
function openedAt (position: number): number {
  const fd = openSync(file.path, 'r')
  readSync(fd, Buffer.alloc(position))
  return fd
}

async function readFrom (position: number): Promise<ReadStream> {
  const handle = await open(file.path)
  await handle.read(Buffer.alloc(position))
  return handle.createReadStream()
}

/** Answers with large data, as the upstream of a proxy. */
const upstream = http.createServer((_request, response) => response.end(bytes))
t.before(() => new Promise<void>(resolve => { upstream.listen(0, '127.0.0.1', resolve) }))
t.teardown(() => upstream.close())

/** A large Buffer whose memory is `memory`. */
function copied (memory: ArrayBufferLike): Buffer {
  const buffer = Buffer.from(memory as ArrayBuffer)
  bytes.copy(buffer)
  return buffer
}

async function * pieces (): AsyncGenerator<Buffer> {
  for (let start = 0; start < LARGE; start += 100_000) {
    await setImmediate()
    yield bytes.subarray(start, start + 100_000)
  }
}

/** Sends a payload, or returns it as a handler does. */
type Send = (reply: FastifyReply) => unknown

interface Kind {
  readonly send: Send
  /** On a connection with TLS, where the backend can have it: null for what goes past the event loop. */
  readonly reason: FallbackReason | null
  /** Without TLS, where that is something else. */
  readonly plain?: FallbackReason | null
  /** Whether the plugin tells a length that the application does not. */
  readonly length?: true
  /** Whether the body is cut. */
  readonly cut?: boolean
}

const largeData = (send: Send): Kind => ({ send, reason: null, plain: 'data' })
const data = (send: Send): Kind => ({ send, reason: 'data' })
const stream = (send: Send): Kind => ({ send, reason: 'stream' })
const webStream = (send: Send): Kind => ({ send, reason: 'web-stream' })
const resizable = (): ArrayBuffer => Reflect.construct(ArrayBuffer, [LARGE, { maxByteLength: 2 * LARGE }]) as ArrayBuffer

const KINDS: Readonly<Record<string, Kind>> = {
  nothing: { send: reply => reply.send(), reason: 'no-payload' },
  null: data(reply => reply.send(null)),
  'an empty text': data(() => ''),
  'a text': data(() => 'text'),
  'a large text': largeData(() => text),
  'a large text of two bytes a character': largeData(() => 'ä'.repeat(200_000)),
  'a large text with half a character': largeData(() => `${text}\ud800`),
  'a large text that is JSON': largeData(reply => reply.type('application/json').send(JSON.stringify(text))),
  'a number': data(reply => reply.type('application/json').send(12)),
  'a boolean': data(reply => reply.type('application/json').send(false)),
  'a date': data(() => new Date(0)),
  'an object': data(() => ({ hello: 'world' })),
  'a large list': largeData(() => list),
  'what a serializer makes': largeData(reply => reply.serializer(() => text).send({})),
  'a Buffer': data(() => Buffer.from('bytes')),
  'a large Buffer': largeData(() => bytes),
  'a large Buffer, not returned': largeData(reply => { reply.send(bytes) }),
  'a large Buffer, returned twice': largeData(reply => {
    reply.send(bytes)
    return reply
  }),
  'a large Buffer, later': largeData(async reply => {
    await setImmediate()
    return reply.send(bytes)
  }),
  'a part of a Buffer': largeData(() => bytes.subarray(100_001, 400_000)),
  'a Uint8Array': largeData(() => new Uint8Array(bytes)),
  'a Uint32Array': largeData(() => new Uint32Array(bytes.buffer, bytes.byteOffset, 100_000)),
  'a DataView': largeData(() => new DataView(bytes.buffer, bytes.byteOffset, 300_000)),
  'resizable memory': largeData(() => copied(resizable())),
  'shared memory, which Fastify makes JSON of': largeData(() => new Uint8Array(new SharedArrayBuffer(300_000))),
  'an ArrayBuffer, which Fastify makes JSON of': data(() => new ArrayBuffer(3)),
  'large data with a status and headers': largeData(reply => reply.code(203).header('x-one', ['1', '2']).header('etag', '"1"').send(bytes)),
  'large data with another Content-Length': largeData(reply => reply.header('content-length', 12).send(bytes)),
  'large data with trailers': largeData(reply => reply.trailer('x-sum', async () => 'sum').send(bytes)),
  'large data whose header is invalid': data(reply => reply.header('x-one', 'ä\n').send(bytes)),
  'large data for status 204': { send: reply => reply.code(204).send(bytes), reason: 'no-body' },
  'an error': data(() => { throw new Error('no') }),
  'an error after large data': largeData(reply => {
    reply.send(bytes)
    throw new Error('too late')
  }),
  'a stream of Buffers': stream(() => Readable.from(pieces())),
  'a stream of texts': stream(() => Readable.from(['one', 'two'])),
  'a stream that fails at once': stream(() => new Readable({ read () { this.destroy(new Error('no')) } })),
  'a stream that fails later': {
    ...stream(() => Readable.from((async function * () {
      yield bytes.subarray(0, 100_000)
      await setImmediate()
      throw new Error('no')
    })())),
    cut: true
  },
  'a file': { send: () => createReadStream(file.path), reason: null, length: true },
  'a small file': { send: () => createReadStream(small.path), reason: 'too-small', length: true },
  'a part of a file': { send: () => createReadStream(file.path, { start: 100, end: 400_000 }), reason: null, length: true },
  'a file over a descriptor': { send: () => createReadStream('', { fd: openSync(file.path, 'r') }), reason: null, length: true },
  'a file over a descriptor, from where it is': { send: () => createReadStream('', { fd: openedAt(300_000) }), reason: null, length: true },
  'a part of a file, from where its descriptor is': { send: () => createReadStream('', { fd: openedAt(100_000), end: 299_999 }), reason: null, length: true },
  'a file whose descriptor is kept': {
    send: () => {
      const stream = createReadStream('', { fd: openSync(file.path, 'r'), autoClose: false })
      return stream.on('end', () => closeSync((stream as unknown as { fd: number }).fd))
    },
    reason: 'stream-without-start'
  },
  'a file through a transform': stream(() => createReadStream(file.path).pipe(new PassThrough())),
  'a compressed file': stream(() => createReadStream(file.path).pipe(createGzip({ level: 1 }))),
  'a FileHandle\'s stream': { send: async () => (await open(file.path)).createReadStream(), reason: null, length: true },
  'a FileHandle\'s stream, from where it is': { send: () => readFrom(300_000), reason: null, length: true },
  'a part of a FileHandle': { send: async () => (await open(file.path)).createReadStream({ start: 100, end: 400_000 }), reason: null, length: true },
  'a file by graceful-fs': { send: () => graceful.createReadStream(file.path), reason: 'stream-in-use' },
  'a web stream': webStream(() => Readable.toWeb(Readable.from(pieces()))),
  'a file as a web stream': webStream(() => Readable.toWeb(createReadStream(file.path))),
  'a FileHandle as a web stream': webStream(async reply => {
    const handle = await open(file.path)
    reply.raw.once('close', () => { handle.close().catch(() => {}) })
    return handle.readableWebStream({ type: 'bytes' })
  }),
  'a Blob\'s stream': webStream(() => new Blob([bytes]).stream()),
  'a file as a Blob\'s stream': webStream(async () => (await openAsBlob(file.path)).stream()),
  'a Response': webStream(() => new Response(text, { status: 203, headers: { 'x-one': '1' } })),
  'a Response without a body': webStream(() => new Response(null)),
  'a child\'s output': stream(() => spawn('cat', [file.path], { stdio: ['ignore', 'pipe', 'ignore'] }).stdout),
  'an upstream\'s body': stream(() => new Promise((resolve, reject) => {
    http.get({ port: (upstream.address() as AddressInfo).port, host: '127.0.0.1' }, resolve).once('error', reject)
  })),
  'a reply past Fastify': { send: reply => { reply.hijack().raw.writeHead(200, { 'content-length': LARGE }).end(bytes) }, reason: 'hijacked' }
}

type Seen = Map<string, string[]>

/** A server for all kinds, and what its application sees of each reply. */
async function serve (t: Tap.Test, options: { ktls?: object }): Promise<TestServer & { readonly seen: Seen }> {
  const seen: Seen = new Map()
  const server = await startServer(t, {
    ...options,
    setup: app => {
      app.addHook('onSend', async (request, _reply, payload) => {
        seen.get(request.id)!.push(`onSend ${payload === null ? 'null' : typeof payload}`)
        return payload
      })
      app.addHook('onError', async (request, _reply, error) => { seen.get(request.id)!.push(`onError ${error.message}`) })
      app.addHook('onResponse', async request => { seen.get(request.id)!.push('onResponse') })
      app.get('/file', (_request, reply) => reply.send(createReadStream(file.path)))
      app.get('/:kind', (request, reply) => {
        const events: string[] = []
        seen.set(request.id, events)
        for (const event of ['prefinish', 'finish', 'close']) reply.raw.on(event, () => events.push(event))
        return KINDS[(request.params as { kind: string }).kind]!.send(reply)
      })
      app.addHook('onRequest', async request => { seen.set(request.id, []) })
    }
  })
  return { ...server, seen }
}

/** What a client is given, without what differs between two replies, and with `length` without how that is told. */
function given ({ status, rawHeaders, sha256 }: Response, length: boolean): object {
  const headers: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    if (name === 'date' || (length && (name === 'content-length' || name === 'transfer-encoding'))) continue
    headers.push(`${rawHeaders[i]!}: ${rawHeaders[i + 1]!}`)
  }
  return { status, sha256, headers: headers.sort() }
}

/** The reply, or the error that a client meets, and all that the application has seen of it. */
async function ask ({ origin, seen, log }: TestServer & { readonly seen: Seen }, kind: string, length: boolean, agent: https.Agent | http.Agent | false): Promise<{ outcome: object, events: string[], log: unknown[] }> {
  seen.clear()
  log.length = 0
  const outcome = await request(`${origin}/${encodeURIComponent(kind)}`, { agent }).then(
    response => given(response, length),
    (error: Error) => ({ error: error.message }))
  const [events] = [...seen.values()]
  while (!events!.some(event => event === 'close')) await setImmediate()
  await setImmediate()
  return { outcome, events: events!, log: log.map(({ level, msg }) => [level, msg]) }
}

for (const kept of [false, true]) {
  t.test(kept ? 'on a connection that a file has promoted' : 'on a connection of its own', async t => {
    const [plain, tested] = [await serve(t, {}), await serve(t, { ktls: {} })]
    for (const [kind, { reason, plain: reasonOfPlain = reason, length = false, cut = false }] of Object.entries(KINDS)) {
      await t.test(kind, async t => {
        const agents = [plain, tested].map(() => kept ? new (SECURE ? https : http).Agent({ keepAlive: true, maxSockets: 1 }) : false as const)
        if (kept) {
          await request(`${plain.origin}/file`, { agent: agents[0]! })
          await request(`${tested.origin}/file`, { agent: agents[1]! })
          t.match(await tested.decisions(1), [{ backend: BACKEND, path: 'file' }])
        }
        const got = await ask(tested, kind, length, agents[1]!)
        t.strictSame(got, await ask(plain, kind, length, agents[0]!))
        t.equal('error' in got.outcome, cut)
        const [decision] = await tested.decisions(1)
        t.equal(decision!.reason, SECURE ? reason : reasonOfPlain, 'the reason')
        for (const agent of agents) if (agent !== false) agent.destroy()
      })
    }
  })
}
