import { createReadStream } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { AFTER_FILE, BACKEND, statsOf } from '../support/backend'
import { get, open, readReply, receive, send } from '../support/client'
import type { RawClient } from '../support/client'
import { makeFile, makeFolder, openCount, sha256 } from '../support/files'
import { countPromotions } from '../support/kernel'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const large = makeFile(folder, 20_000_001)
const OFFLOADED = { path: 'file', reason: null, offloaded: true }
const UPLOAD = Buffer.alloc(900_000, 'upload ')

/** Routes that answer an upload by its hash or by the file. */
function takeUploads (app: FastifyInstance): void {
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  const received = (body: unknown) => sha256(body as Buffer)
  app.post('/hash', async request => received(request.body))
  app.post('/file', (request, reply) => reply.header('x-upload', received(request.body)).send(createReadStream(file.path)))
}

function sendUploadHead (client: RawClient, path: string, ...headers: readonly string[]): void {
  send(client, `POST ${path} HTTP/1.1`, 'Host: localhost', 'Content-Type: application/octet-stream', `Content-Length: ${UPLOAD.length}`, ...headers)
}

t.test('Expect: 100-continue', async t => {
  for (const first of [`/${file.name}`, undefined]) {
    await t.test(first === undefined ? 'before the promotion' : 'on a promoted connection', async t => {
      const { port, decisions } = await serveFolder(t, folder, { ktls: {}, setup: takeUploads })
      const before = countPromotions()
      const client = await open(port)
      if (first !== undefined) {
        send(client, `GET ${first} HTTP/1.1`, 'Host: localhost')
        t.equal((await readReply(client)).sha256, file.sha256)
        t.match(await decisions(1), [OFFLOADED])
      }
      const upload = async (path: string) => {
        sendUploadHead(client, path, 'Expect: 100-continue')
        t.match((await readReply(client)).head, /^HTTP\/1.1 100 Continue\r\n\r\n$/)
        client.tls.write(UPLOAD)
        return readReply(client)
      }
      const reply = await upload('/file')
      t.equal(reply.sha256, file.sha256)
      t.match(reply.head, `x-upload: ${sha256(UPLOAD)}`)
      t.equal((await upload('/hash')).body.toString(), sha256(UPLOAD))
      t.match(await decisions(2), [OFFLOADED, { path: AFTER_FILE }])
      t.equal(countPromotions() - before, 1)

      sendUploadHead(client, '/hash', 'Expect: something else', 'Connection: close')
      const { head, clean } = await receive(client)
      t.match(head, 'HTTP/1.1 417 Expectation Failed')
      t.ok(clean)
    })
  }
})

t.test('HTTP/1.0', async t => {
  const { port, decisions } = await serveFolder(t, folder, {
    ktls: {},
    setup: app => {
      // Without Content-Length: there the end of the body is that of the connection.
      app.get('/endless', async (_request, reply) => {
        reply.hijack()
        reply.raw.write(UPLOAD)
        reply.raw.end(UPLOAD)
      })
    }
  })
  const before = countPromotions()
  await t.test('one request a connection', async t => {
    const client = await open(port)
    send(client, `GET /${file.name} HTTP/1.0`)
    const { head, sha256, clean } = await receive(client)
    t.match(head, /^connection: close\r$/im)
    t.equal(sha256, file.sha256)
    t.ok(clean)
    t.match(await decisions(1), [OFFLOADED])
  })
  for (const last of [`/${file.name}`, '/endless']) {
    await t.test(`kept alive, up to ${last === '/endless' ? 'a reply of unknown length' : 'a request that does not ask for it'}`, async t => {
      const client = await open(port)
      for (let i = 0; i < 2; i++) {
        send(client, `GET /${file.name} HTTP/1.0`, 'Connection: keep-alive')
        const reply = await readReply(client)
        t.match(reply.head, /^connection: keep-alive\r$/im)
        t.equal(reply.sha256, file.sha256)
      }
      send(client, `GET ${last} HTTP/1.0`, ...(last === '/endless' ? ['Connection: keep-alive'] : []))
      const { head, sha256: hash, clean } = await receive(client)
      t.notMatch(head, /chunked/i)
      t.equal(hash, last === '/endless' ? sha256(Buffer.concat([UPLOAD, UPLOAD])) : file.sha256)
      t.ok(clean)
      t.match(await decisions(2), [OFFLOADED, OFFLOADED])
      t.match(await decisions(1), [last === '/endless' ? { path: AFTER_FILE, reason: 'hijacked' } : { path: 'file' }])
    })
  }
  t.equal(countPromotions() - before, 3)
})

t.test('requests that arrive while a file is being sent', async t => {
  const arrived: string[] = []
  const { app, port, decisions } = await serveFolder(t, folder, {
    ktls: {},
    setup: app => {
      takeUploads(app)
      app.addHook('preHandler', async request => { arrived.push(request.url) })
      app.get('/json', async () => ({ hello: 'world' }))
    }
  })
  const before = countPromotions()
  const client = await get(port, `/${large.name}`)
  await until(() => statsOf(app).bytes.file > 0)
  send(client, 'GET /json HTTP/1.1', 'Host: localhost')
  await until(() => arrived.includes('/json'))
  sendUploadHead(client, '/hash')
  client.tls.write(UPLOAD)
  await until(() => arrived.includes('/hash'))
  send(client, `GET /${file.name} HTTP/1.1`, 'Host: localhost')
  await until(() => arrived.includes(`/${file.name}`))
  t.ok(statsOf(app).bytes.file < large.size, 'the first is still under way')
  sendUploadHead(client, '/file', 'Connection: close')
  client.tls.write(UPLOAD)

  t.equal((await readReply(client)).sha256, large.sha256)
  t.equal((await readReply(client)).body.toString(), '{"hello":"world"}')
  t.equal((await readReply(client)).body.toString(), sha256(UPLOAD))
  t.equal((await readReply(client)).sha256, file.sha256)
  const { head, sha256: hash, clean } = await receive(client)
  t.match(head, `x-upload: ${sha256(UPLOAD)}`)
  t.equal(hash, file.sha256)
  t.ok(clean)
  t.match(await decisions(5), [OFFLOADED, { path: AFTER_FILE }, { path: AFTER_FILE }, OFFLOADED, OFFLOADED])
  t.equal(countPromotions() - before, 1)
})

t.test('a client that ends its own side while a file is being sent', async t => {
  const { app, port, decisions } = await serveFolder(t, folder, { ktls: {} })
  const before = countPromotions()
  const client = await get(port, `/${large.name}`)
  await until(() => statsOf(app).bytes.file > 0)
  send(client, `GET /${file.name} HTTP/1.1`, 'Host: localhost')
  client.tls.end()
  t.equal((await readReply(client)).sha256, large.sha256)
  // Node gives up what has not been written when it reads the client's end.
  const second = await receive(client)
  t.ok([file.sha256, sha256('')].includes(second.sha256), 'the next one comes whole or not at all')
  t.ok(second.clean)
  t.match(await decisions(2), [OFFLOADED, {}])
  await until(() => statsOf(app).connections.open === 0 && openCount(file.path) + openCount(large.path) === 0)
  t.equal(countPromotions() - before, 1)
})

t.test('a client that ends its own side with its first request', async t => {
  for (const ktls of [undefined, {}]) {
    const { port, decisions, warnings } = await serveFolder(t, folder, {
      ...(ktls && { ktls }),
      tls: { allowHalfOpen: true },
      setup: app => {
        Object.assign(app.server, { httpAllowHalfOpen: true })
        app.get('/late', async (request, reply) => {
          await until(() => request.raw.socket.readableEnded && client.tcp.writableFinished)
          return reply.sendFile(file.name)
        })
      }
    })
    const before = countPromotions()
    const client: RawClient = await open(port)
    client.tls.end('GET /late HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    const { sha256, clean } = await receive(client)
    t.equal(sha256, file.sha256)
    t.ok(clean)
    // The kernel takes established connections only.
    const taken = ktls !== undefined && BACKEND !== 'kernel'
    t.equal(countPromotions() - before, taken ? 1 : 0)
    if (ktls === undefined) continue
    t.match(await decisions(1), [taken ? OFFLOADED : { path: 'node', reason: 'connection-closed' }])
    t.strictSame(warnings, [])
  }
})
