/*
 * What only connections without TLS can do, before and after a file. The rest is in the tests
 * of a backend, which run over plain HTTP as well (run/without-kernel).
 */
import { fork } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net, { Socket } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Backend, ReplyDecision } from '../../types/index'
import { certificate } from '../certificate'
import { requestOf } from '../support/client'
import { makeFile, makeFolder, openCount, sha256 } from '../support/files'
import { openDescriptors } from '../support/kernel'
import { ktls } from '../support/plugin'
import { request } from '../support/request'
import { until } from '../support/wait'

/** Of a request's body: more than a Unix socket takes unread. */
const CHUNK = 400_000

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const large = makeFile(folder, 20_000_000)

interface Served {
  readonly app: FastifyInstance
  readonly decided: ReplyDecision[]
}

async function serve (t: Tap.Test, where: net.ListenOptions, { options = {}, backends = ['plain'], setup }: { options?: object, backends?: readonly Backend[], setup?: (app: FastifyInstance) => void } = {}): Promise<Served> {
  const decided: ReplyDecision[] = []
  const app = Fastify({ forceCloseConnections: true, ...options }) as unknown as FastifyInstance
  await app.register(ktls, { backends })
  app.addHook('onResponse', async request => { decided.push(request.ktls) })
  app.get('/file', (_request, reply) => reply.send(createReadStream(file.path)))
  app.get('/large', (_request, reply) => reply.send(createReadStream(large.path)))
  app.get('/json', async () => ({ some: 'json' }))
  setup?.(app)
  t.teardown(() => app.close())
  await app.listen(where as { port: number, host: string })
  return { app, decided }
}

const LOOPBACK = { port: 0, host: '127.0.0.1' }

const portOf = ({ server }: { readonly server: net.Server }) => (server.address() as net.AddressInfo).port

/** Asks with `Connection: close`, and returns the body. */
async function ask (where: net.NetConnectOpts, path: string): Promise<Buffer> {
  const socket = net.connect(where)
  socket.write(requestOf(path, ['Connection: close']))
  const bytes = await buffer(socket)
  return bytes.subarray(bytes.indexOf('\r\n\r\n') + 4)
}

/** A connection that has got a file, and the server's side of it. */
async function afterFile (t: Tap.Test, app: FastifyInstance): Promise<{ client: Socket, socket: Socket }> {
  let socket: Socket | undefined
  app.server.once('connection', accepted => { socket = accepted })
  const client = net.connect(portOf(app), '127.0.0.1')
  t.teardown(() => { client.destroy() })
  client.write(requestOf('/file'))
  let got = Buffer.alloc(0)
  while (got.indexOf('\r\n\r\n') < 0 || got.length < got.indexOf('\r\n\r\n') + 4 + file.size) {
    await once(client, 'readable')
    for (let chunk = client.read(); chunk !== null; chunk = client.read()) got = Buffer.concat([got, chunk])
  }
  t.equal(sha256(got.subarray(got.indexOf('\r\n\r\n') + 4)), file.sha256)
  t.equal(app.ktls.stats().replies.file.plain, 1)
  return { client, socket: socket! }
}

t.test('between files a connection is as Node made it', async t => {
  const descriptors = openDescriptors().length
  const { app, decided } = await serve(t, LOOPBACK)
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  for (const [path, expected] of [['/json', 'node'], ['/file', 'file'], ['/json', 'node'], ['/large', 'file'], ['/file', 'file'], ['/json', 'node']] as const) {
    const [response] = await once(http.get({ port: portOf(app), path, agent }), 'response') as [http.IncomingMessage]
    const hash = sha256(await buffer(response))
    t.equal(hash, { '/json': sha256('{"some":"json"}'), '/file': file.sha256, '/large': large.sha256 }[path])
    await until(() => decided.length > 0)
    t.match(decided.splice(0), [{ path: expected, backend: expected === 'file' ? 'plain' : null, version: null, cipher: null }])
  }
  const { connections, bytes } = app.ktls.stats()
  t.match(connections, { seen: 1, promoted: { plain: 1 }, open: 1 })
  t.equal(bytes.file.plain, 2 * file.size + large.size)
  agent.destroy()
  await app.close()
  await until(() => openDescriptors().length <= descriptors + 8)
})

t.test('a socket that is passed to a child ends when the child ends it', async t => {
  const { app } = await serve(t, LOOPBACK)
  const { client } = await afterFile(t, app)
  const child = fork(join(__dirname, '../support/passed-child.js'))
  const exited = once(child, 'exit')
  // Node's HTTP server has let go of it.
  app.server.once('upgrade', (_request, socket: Socket) => { child.send('from the child', socket) })
  client.write(requestOf('/upgrade', ['Connection: Upgrade', 'Upgrade: other']))
  t.equal((await buffer(client)).toString(), 'from the child')
  // Node's server waits for a child that has its connections.
  await app.close()
  t.strictSame(await exited, [0, null])
})

t.test('HTTP/2 on a connection that has sent a file', async t => {
  const { app } = await serve(t, LOOPBACK)
  const { client, socket } = await afterFile(t, app)
  app.server.removeAllListeners('connection')
  const session = http2.performServerHandshake(socket)
  session.on('stream', stream => {
    stream.respond()
    stream.end('by HTTP/2')
  })
  const own = http2.connect('http://localhost', { createConnection: () => client })
  t.equal((await buffer(own.request())).toString(), 'by HTTP/2')
  own.close()
  session.close()
})

t.test('HTTP/2 without TLS stays with Node', async t => {
  const { app, decided } = await serve(t, LOOPBACK, { options: { http2: true } })
  const session = http2.connect(`http://127.0.0.1:${portOf(app)}`)
  t.equal(sha256(await buffer(session.request({ ':path': '/file' }))), file.sha256)
  session.close()
  await until(() => decided.length === 1)
  t.match(decided, [{ path: 'node', reason: 'http2' }])
})

t.test('a connection of another server', async t => {
  const { app } = await serve(t, LOOPBACK)
  const front = net.createServer(socket => { app.server.emit('connection', socket) }).listen(0, '127.0.0.1')
  await once(front, 'listening')
  t.teardown(() => { front.close() })
  t.equal(sha256(await ask({ port: (front.address() as net.AddressInfo).port }, '/large')), large.sha256)
  t.match(app.ktls.stats(), { connections: { seen: 1, promoted: { plain: 1 } }, replies: { file: { plain: 1 } } })
  await until(() => app.ktls.stats().connections.open === 0)
})

t.test('HTTP and HTTPS by one instance, told apart by the first byte', async t => {
  const { app } = await serve(t, LOOPBACK, { options: { https: await certificate() }, backends: ['threads', 'plain'] })
  const plain = http.createServer((request, response) => app.routing(request, response))
  const front = net.createServer(socket => {
    socket.once('readable', () => {
      const first: Buffer | null = socket.read(1)
      if (first === null) return
      socket.unshift(first)
      const isTls = first[0] === 0x16
      ;(isTls ? app.server : plain).emit('connection', socket)
    })
  }).listen(0, '127.0.0.1')
  await once(front, 'listening')
  t.teardown(() => { front.close() })
  const { port } = front.address() as net.AddressInfo
  t.equal(sha256(await ask({ port }, '/large')), large.sha256)
  t.match(app.ktls.stats().replies.file, { plain: 1 })
  t.equal((await request(`https://127.0.0.1:${port}/file`)).sha256, file.sha256)
})

t.test('a socket whose write() is replaced, and hands copies on', async t => {
  const copying = (socket: Pick<Socket, 'write'>) => {
    const { write } = socket
    socket.write = function (this: Socket, chunk: Uint8Array | string, ...rest: never[]) {
      return write.call(this, typeof chunk === 'string' ? chunk : Buffer.from(chunk), ...rest)
    } as Socket['write']
    return () => { socket.write = write }
  }
  const { app, decided } = await serve(t, LOOPBACK)
  app.server.once('connection', copying)
  const url = `http://127.0.0.1:${portOf(app)}/file`
  t.equal((await request(url)).sha256, file.sha256)
  await until(() => decided.length === 1)
  t.match(decided, [{ path: 'node', reason: 'response-modified' }])

  t.comment('that of all sockets: a cut connection in place of a body that is missing')
  const restore = copying(Socket.prototype)
  await t.rejects(request(url))
  restore()
  t.equal((await request(url)).sha256, file.sha256)
  await until(() => app.ktls.stats().connections.open === 0 && openCount(file.path) === 0)
})

t.test('a file for a socket that the application has ended', async t => {
  const { app } = await serve(t, LOOPBACK, {
    setup: app => { app.addHook('onRequest', async request => { if (request.url === '/large') request.raw.socket.end() }) }
  })
  let clientErrors = 0
  app.server.on('clientError', () => { clientErrors++ })
  const client = net.connect({ port: portOf(app), host: '127.0.0.1', allowHalfOpen: true })
  client.write(requestOf('/large'))
  await until(() => app.ktls.stats().fallbacks['connection-closed'] === 1 || clientErrors > 0)
  t.equal((await buffer(client)).length, 0)
  client.destroy()
  await until(() => app.ktls.stats().connections.open === 0)
  t.equal(clientErrors, 0)
  t.equal(app.ktls.stats().replies.file.plain, 0)
})

t.test('what is no socket is no connection', async t => {
  const { app, decided } = await serve(t, LOOPBACK, {
    setup: app => {
      app.get('/hijacked', (_request, reply) => {
        reply.hijack()
        reply.raw.end('by the handler')
      })
    }
  })
  t.equal((await app.inject('/hijacked')).body, 'by the handler')
  t.equal((await app.inject('/file')).rawPayload.length, file.size)
  t.match(decided, [{ reason: 'hijacked' }, { reason: 'inject' }])
  t.match(app.ktls.stats().connections, { seen: 0, open: 0 })
})

t.test('two instances answer on one connection', async t => {
  const inner = await serve(t, LOOPBACK)
  const outer = await serve(t, LOOPBACK, {
    setup: app => {
      app.get('/inner', (request, reply) => {
        reply.hijack()
        request.raw.url = '/large'
        inner.app.routing(request.raw, reply.raw)
      })
    }
  })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => { agent.destroy() })
  for (const [path, expected] of [['/file', file], ['/inner', large], ['/file', file], ['/inner', large]] as const) {
    const [response] = await once(http.get({ port: portOf(outer.app), path, agent }), 'response') as [http.IncomingMessage]
    t.equal(sha256(await buffer(response)), expected.sha256)
  }
  for (const { app } of [inner, outer]) t.match(app.ktls.stats().replies.file, { plain: 2 })
})

t.test('a Unix socket', async t => {
  const path = join(folder, 'socket')
  const { app, decided } = await serve(t, { path })
  t.equal(sha256(await ask({ path }, '/large')), large.sha256)
  t.equal((await ask({ path }, '/json')).toString(), '{"some":"json"}')
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  for (let round = 0; round < 3; round++) {
    const [response] = await once(http.get({ socketPath: path, path: '/file', agent }), 'response') as [http.IncomingMessage]
    t.equal(sha256(await buffer(response)), file.sha256)
  }
  agent.destroy()
  await until(() => decided.length === 5)
  t.match(decided.map(({ path }) => path), ['file', 'node', 'file', 'file', 'file'])

  t.comment('a client that reads late')
  const late = net.connect({ path })
  late.write(requestOf('/large', ['Connection: close']))
  await once(late, 'readable')
  await until(() => app.ktls.stats().bytes.file.plain > large.size + 3 * file.size)
  const bytes = await buffer(late)
  t.equal(sha256(bytes.subarray(bytes.indexOf('\r\n\r\n') + 4)), large.sha256)

  t.comment('a client that goes on with its request while the reply ends the connection')
  const talking = net.connect({ path })
  talking.write(`GET /file HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${2 * CHUNK}\r\n\r\n`)
  talking.write(Buffer.alloc(CHUNK))
  const reply = buffer(talking)
  await until(() => talking.readableEnded)
  talking.end(Buffer.alloc(CHUNK))
  const answer = await reply
  t.equal(sha256(answer.subarray(answer.indexOf('\r\n\r\n') + 4)), file.sha256)

  t.comment('a client that leaves')
  const leaving = net.connect({ path })
  leaving.write(requestOf('/large'))
  await once(leaving, 'readable')
  leaving.destroy()
  await until(() => app.ktls.stats().connections.open === 0 && openCount(large.path) === 0)
})

t.test('what the option "backends" leaves out', async t => {
  const secure = await serve(t, LOOPBACK, { options: { https: await certificate() } })
  t.equal((await request(`https://127.0.0.1:${portOf(secure.app)}/file`)).sha256, file.sha256)
  await until(() => secure.decided.length === 1)
  t.match(secure.decided, [{ path: 'node', reason: 'tls' }])
  const plain = await serve(t, LOOPBACK, { backends: ['threads'] })
  t.equal((await request(`http://127.0.0.1:${portOf(plain.app)}/file`)).sha256, file.sha256)
  await until(() => plain.decided.length === 1)
  t.match(plain.decided, [{ path: 'node', reason: 'plain-http' }])
})
