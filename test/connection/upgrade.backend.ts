import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { performServerHandshake } from 'node:http2'
import type { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { TLSSocket, connect } from 'node:tls'
import type { SecureContextOptions } from 'node:tls'
import websocket from '@fastify/websocket'
import t from 'tap'
import { WebSocket } from 'ws'
import { certificate } from '../certificate'
import { SECURE, statsOf } from '../support/backend'
import { ask, get, open, readReply, send } from '../support/client'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { countPromotions } from '../support/kernel'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

const folder = makeFolder(t)
const file = makeFile(folder, 100_000)

const PROTOCOLS = [
  { event: 'upgrade', request: ['GET / HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: echo'], reply: ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: echo'] },
  { event: 'connect', request: ['CONNECT other.test:443 HTTP/1.1', 'Host: other.test:443'], reply: ['HTTP/1.1 200 Connection Established'] }
] as const

for (const { event, request, reply } of PROTOCOLS) {
  t.test(`'${event}' on a promoted connection`, async t => {
    const { app, port } = await serveFolder(t, folder, { ktls: {} })
    app.server.on(event, (_request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.write([...reply, '', ''].join('\r\n'))
      socket.write(head)
      socket.pipe(socket)
    })
    const before = countPromotions()
    const client = await get(port, `/${file.name}`)
    t.equal((await readReply(client)).sha256, file.sha256)
    // The first bytes come with the request, the others after its reply.
    const sent = [randomBytes(1000), randomBytes(3_000_000)] as const
    client.tls.cork()
    send(client, ...request)
    client.tls.write(sent[0])
    client.tls.uncork()
    t.match((await readReply(client)).head, reply[0])
    client.tls.end(sent[1])
    t.equal(sha256(await buffer(client.tls)), sha256(Buffer.concat(sent)))
    t.equal(client.records.endsWithAlert(), SECURE, 'close_notify came')
    t.equal(countPromotions() - before, 1)
  })
}

interface Closed {
  readonly code: number
  readonly reason: string
}

async function closed (socket: WebSocket): Promise<Closed> {
  const [code, reason] = await once(socket, 'close') as [number, Buffer]
  return { code, reason: reason.toString() }
}

const TEXT = 'text, of more than one byte a character: äöü €'
const CLOSE: Closed = { code: 4001, reason: 'all said' }

for (const closes of ['client', 'server'] as const) {
  t.test(`WebSocket on a promoted connection, closed by the ${closes}`, async t => {
    const pushed = [randomBytes(2_000_000), randomBytes(1), randomBytes(3_000_001)]
    const ends: Array<Promise<Closed>> = []
    const { app, port, decisions } = await serveFolder(t, folder, {
      ktls: {},
      setup: async app => {
        await app.register(websocket)
        app.get('/socket', { websocket: true }, (socket, request) => {
          t.equal(request.raw.socket instanceof TLSSocket, SECURE)
          ends.push(closed(socket))
          // Both ways at a time: unasked and as an echo.
          for (const message of pushed) socket.send(message)
          socket.on('message', (data: Buffer, isBinary: boolean) => {
            if (isBinary || data.toString() === TEXT) socket.send(data, { binary: isBinary })
            else socket.close(CLOSE.code, CLOSE.reason)
          })
        })
      }
    })
    const before = countPromotions()
    const client = await get(port, `/${file.name}`)
    t.equal((await readReply(client)).sha256, file.sha256)
    t.match(await decisions(1), [{ path: 'file', offloaded: true }])

    const socket = new WebSocket(`${SECURE ? 'wss' : 'ws'}://127.0.0.1:${port}/socket`, { createConnection: () => client.tls })
    const echoed = [randomBytes(4_000_000), randomBytes(70_000), randomBytes(2_500_003)]
    const got: string[] = []
    socket.on('message', (data: Buffer, isBinary) => {
      got.push(isBinary ? sha256(data) : data.toString())
      if (got.length < pushed.length + echoed.length + 1) return
      if (closes === 'client') socket.close(CLOSE.code, CLOSE.reason)
      else socket.send('close')
    })
    const end = closed(socket)
    await once(socket, 'open')
    for (const message of echoed) socket.send(message)
    socket.send(TEXT)
    t.strictSame(await end, CLOSE)
    t.strictSame(await Promise.all(ends), [CLOSE])
    t.strictSame(got.slice(0, pushed.length), pushed.map(sha256), 'what the server sent by itself')
    t.strictSame(got.slice(pushed.length), [...echoed.map(sha256), TEXT], 'what it sent back')
    t.equal(client.records.endsWithAlert(), SECURE, 'close_notify came')
    t.match(statsOf(app).connections, { seen: 1, promoted: 1 })
    t.equal(countPromotions() - before, 1)
  })
}

/** Ways to write to a TLS socket's handle, below its Writable. */
const WITHIN: Readonly<Record<string, (socket: TLSSocket, options: SecureContextOptions) => void>> = {
  'a TLS server': (socket, options) => { new TLSSocket(socket, { isServer: true, ...options }).on('error', () => {}) },
  'an HTTP/2 server': socket => { performServerHandshake(socket).on('error', () => {}) },
  'a TLS client': socket => { connect({ socket, rejectUnauthorized: false }).on('error', () => {}) }
}

if (SECURE) {
  for (const [name, start] of Object.entries(WITHIN)) {
    t.test(`${name} within a promoted connection ends it, and the log says why, once`, async t => {
      const keys = await certificate()
      const errors: unknown[] = []
      let tunnel: TLSSocket | undefined
      const { app, port, warnings } = await serveFolder(t, folder, { ktls: {} })
      app.server.on('connect', (_request: IncomingMessage, socket: TLSSocket) => {
        socket.on('error', error => errors.push((error as NodeJS.ErrnoException).code))
        socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
        tunnel = socket
      })
      for (let round = 1; round <= 2; round++) {
        const client = await get(port, `/${file.name}`)
        t.equal((await readReply(client)).sha256, file.sha256)
        send(client, 'CONNECT inner.test:1 HTTP/1.1', 'Host: inner.test')
        t.match((await readReply(client)).head, '200')
        // The end comes at once, and a reset would take along what the client has not read.
        start(tunnel!, keys)
        if (name === 'a TLS server') connect({ socket: client.tls, rejectUnauthorized: false }).on('error', () => {})
        client.tls.resume()
        if (!client.tls.closed) await once(client.tls, 'close')
        await until(() => errors.length === round)
      }
      t.strictSame(errors, ['FST_KTLS_BYPASSED', 'FST_KTLS_BYPASSED'])
      t.match(warnings, [{ msg: /^fastify-ktls: a connection ends: .*TLS handle/ }])
      t.equal(statsOf(app).connections.open, 0)
    })
  }
}

t.test(`TLS within a connection that ${SECURE ? 'is not promoted' : 'has sent a file'} works`, async t => {
  const keys = await certificate()
  const { app, port } = await serveFolder(t, folder, { ktls: {} })
  app.server.on('connect', (_request: IncomingMessage, socket: TLSSocket) => {
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    const inner = new TLSSocket(socket, { isServer: true, ...keys })
    inner.pipe(inner)
  })
  const client = await open(port)
  if (!SECURE) {
    ask(client, `/${file.name}`)
    t.equal((await readReply(client)).sha256, file.sha256)
  }
  send(client, 'CONNECT inner.test:1 HTTP/1.1', 'Host: inner.test')
  t.match((await readReply(client)).head, '200')
  const inner = connect({ socket: client.tls, rejectUnauthorized: false })
  inner.write('through both')
  t.equal(String(await once(inner, 'data')), 'through both')
  t.match(statsOf(app).connections, { promoted: SECURE ? 0 : 1 })
  client.tls.destroy()
})
