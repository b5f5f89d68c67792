import { createReadStream } from 'node:fs'
import type { ReadStream } from 'node:fs'
import type { Socket } from 'node:net'
import t from 'tap'
import { get, receive } from '../support/client'
import { curl } from '../support/curl'
import { makeFile, makeFolder, openCount } from '../support/files'
import { kernelPromotions } from '../support/kernel'
import { request } from '../support/request'
import { startServer } from '../support/server'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

t.test('a stream whose file the kernel sent ends as if it had been read', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 200_000)
  const events: string[] = []
  const { origin, decisions, warnings } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/', (_request, reply) => {
        const stream = createReadStream(file.path)
        for (const name of ['end', 'error', 'close']) stream.on(name, () => events.push(name))
        return reply.send(stream)
      })
    }
  })
  t.equal((await request(origin)).sha256, file.sha256)
  t.match(await decisions(1), [{ path: 'sendfile' }])
  await until(() => events.includes('close'))
  t.strictSame(events, ['end', 'close'])
  t.strictSame(warnings, [])
  t.equal(openCount(file.path), 0)
})

t.test('socket.bytesWritten counts what the client gets', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 200_000)
  let socket: Socket | undefined
  const { port, decisions } = await serveFolder(t, folder, {
    ktls: {},
    setup: app => {
      app.get('/json', async request => {
        socket = request.raw.socket
        return { text: 'x'.repeat(5000) }
      })
    }
  })
  // By OpenSSL, by sendfile, and by a write through the kernel.
  const client = await get(port, '/json', ['', `GET /${file.name} HTTP/1.1`, 'Host: localhost'])
  const received = receive(client)
  t.match(await decisions(2), [{ path: 'node' }, { path: 'sendfile' }])
  client.tls.write('GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n')
  t.match(await decisions(1), [{ path: 'write' }])
  const written = socket!.bytesWritten
  socket!.end()
  const { head, size } = await received
  t.equal(written, head.length + size)
})

t.test('a reply that falls back with its file open leaves nothing open', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 200_000)
  const { origin, decisions } = await startServer(t, {
    ktls: { minSize: file.size + 1 },
    setup: app => { app.get('/', (_request, reply) => reply.send(createReadStream(file.path))) }
  })
  for (let i = 0; i < 5; i++) t.equal((await request(origin)).sha256, file.sha256)
  t.ok((await decisions(5)).every(({ reason }) => reason === 'too-small'))
  await until(() => openCount(file.path) === 0)
})

t.test('a listener that comes when the file is open still gets all data', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 200_000)
  let seen = 0
  const { origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/', {
        onSend: async (_request, _reply, payload) => {
          const stream = payload as ReadStream
          stream.once('open', () => stream.on('data', chunk => { seen += chunk.length }))
          return stream
        }
      }, (_request, reply) => reply.send(createReadStream(file.path)))
    }
  })
  t.equal((await request(origin)).sha256, file.sha256)
  t.equal(seen, file.size)
  t.match(await decisions(1), [{ path: 'write', reason: 'stream-in-use' }])
})

t.test('data that somebody takes from a stream before its turn is not left out in silence', async t => {
  const folder = makeFolder(t)
  // One that a single read takes whole, and one of which a part is taken.
  for (const [size, ending] of [[20_000, /^$/], [200_000, /^HTTP\/1.1 500.*FST_KTLS_STREAM_CONSUMED/s]] as const) {
    const file = makeFile(folder, size)
    let letGo = () => {}
    const { port, warnings } = await startServer(t, {
      ktls: {},
      setup: app => {
        app.get('/first', () => new Promise<string>(resolve => { letGo = () => resolve('first') }))
        app.get('/taken', (_request, reply) => {
          const stream = createReadStream(file.path)
          // Late: a listener that is there at once leaves all to Node.
          setImmediate(() => stream.once('readable', () => {
            stream.read()
            stream.once(size === 20_000 ? 'close' : 'readable', letGo)
            if (size === 20_000) stream.resume()
          }))
          return reply.send(stream)
        })
      }
    })
    const client = await get(port, '/first', ['', 'GET /taken HTTP/1.1', 'Host: localhost', 'Connection: close'])
    const { body } = await receive(client)
    const [, second] = body.toString('latin1').split(/^first/)
    t.match(second, ending)
    t.ok(warnings.some(({ err }) => (err as { code?: string } | undefined)?.code === 'FST_KTLS_STREAM_CONSUMED'), 'the log says so')
  }
})

t.test('an application that stores sessions takes its time', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 200_000)
  for (const version of ['1.2', '1.3']) {
    const { app, origin, decisions } = await serveFolder(t, folder, { ktls: {} })
    app.server.on('newSession', (_id: Buffer, _data: Buffer, done: () => void) => setImmediate(() => setImmediate(done)))
    const before = kernelPromotions()
    const downloads = await curl(folder, [`${origin}/${file.name}`, `${origin}/${file.name}`], [`--tlsv${version}`, '--tls-max', version])
    t.ok(downloads.every(({ sha256 }) => sha256 === file.sha256))
    t.match(await decisions(2), [{ path: 'sendfile' }, { path: 'sendfile' }], `TLS ${version}`)
    t.equal(kernelPromotions() - before, 1)
  }
})
