import { createReadStream, statSync } from 'node:fs'
import type { ReadStream } from 'node:fs'
import type { Socket } from 'node:net'
import t from 'tap'
import { AFTER_FILE } from '../support/backend'
import { ask, get, readReply, receive } from '../support/client'
import { curl } from '../support/curl'
import { makeFile, makeFolder, openCount } from '../support/files'
import { countPromotions } from '../support/kernel'
import { request } from '../support/request'
import { startServer } from '../support/server'
import { keepAllBuffersSmall } from '../support/sockets'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

/** What a stream's application sees of one download, and how much was read at each event. */
async function seenOfDownload (t: Tap.Test, options: { ktls?: object }, path: string, cut: boolean): Promise<string[]> {
  const seen: string[] = []
  let sent = () => 0
  const { port, decisions } = await startServer(t, {
    ...options,
    setup: app => {
      app.addHook('onResponse', async () => { seen.push('onResponse') })
      app.get('/', (_request, reply) => {
        const stream = createReadStream(path)
        sent = () => stream.bytesRead
        for (const name of ['end', 'error', 'close']) stream.on(name, () => seen.push(`stream ${name} ${cut ? stream.bytesRead > 0 : stream.bytesRead}`))
        for (const name of ['finish', 'close']) reply.raw.on(name, () => seen.push(`response ${name}`))
        return reply.header('content-length', statSync(path).size).send(stream)
      })
    }
  })
  const client = await get(port, '/')
  if (cut) {
    client.tls.pause()
    await until(() => sent() > 0)
    client.tls.destroy()
  } else {
    await readReply(client)
  }
  await until(() => seen.some(event => event.startsWith('stream close')) && seen.includes('response close'))
  client.tls.destroy()
  if (options.ktls !== undefined) t.match(await decisions(1), [{ path: statSync(path).size < 65536 ? 'node' : 'file' }])
  await until(() => openCount(path) === 0)
  return seen
}

t.test('a stream whose file the kernel sent ends as if it had been read', async t => {
  keepAllBuffersSmall(t)
  const folder = makeFolder(t)
  for (const [size, cut] of [[3000, false], [200_000, false], [4_000_000, true]] as const) {
    const { path } = makeFile(folder, size)
    const plain = await seenOfDownload(t, {}, path, cut)
    const seen = await seenOfDownload(t, { ktls: {} }, path, cut)
    // Node closes a file in its thread pool, early or late.
    const inOrder = (events: readonly string[]) => events.filter(event => !event.startsWith('stream close'))
    t.strictSame(inOrder(seen), inOrder(plain), `${size} bytes: ${seen.join(', ')}`)
    t.strictSame([...seen].sort(), [...plain].sort())
    if (!cut) t.ok(seen.findIndex(event => event.startsWith('stream close')) > seen.indexOf('response finish'), 'not before the reply has finished')
  }
})

/** The events of request, response and socket for a reply that ends its connection. */
async function endOfConnection (t: Tap.Test, options: { ktls?: object }, path: string): Promise<string> {
  const seen: string[] = []
  const { port, decisions } = await startServer(t, {
    ...options,
    setup: app => {
      app.addHook('onResponse', async () => { seen.push('onResponse') })
      app.get('/', ({ raw }, reply) => {
        const emitters = { request: raw, response: reply.raw, socket: raw.socket }
        for (const [name, emitter] of Object.entries(emitters)) {
          for (const event of ['end', 'finish', 'close']) emitter.on(event, () => seen.push(`${name} ${event}`))
        }
        return reply.header('content-length', statSync(path).size).send(createReadStream(path))
      })
    }
  })
  const client = await get(port, '/', ['Connection: close'])
  t.ok((await receive(client)).clean)
  await until(() => seen.includes('socket close'))
  if (options.ktls !== undefined) t.match(await decisions(1), [{ path: 'file' }])
  // When the client ends its side is for it to say.
  return seen.filter(event => event !== 'socket end').join(', ')
}

t.test('a reply that ends its connection: request, response and socket end in that order', async t => {
  const { path } = makeFile(makeFolder(t), 300_000)
  const promotions = countPromotions()
  const plain = await endOfConnection(t, {}, path)
  for (let times = 0; times < 3; times++) t.equal(await endOfConnection(t, { ktls: {} }, path), plain)
  t.equal(countPromotions() - promotions, 3)
})

t.test('a stream tells how far its file has come', async t => {
  keepAllBuffersSmall(t)
  const folder = makeFolder(t)
  const file = makeFile(folder, 4_000_000)
  const streams: ReadStream[] = []
  const { port, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/', (_request, reply) => {
        const stream = createReadStream(file.path)
        streams.push(stream)
        return reply.send(stream)
      })
    }
  })
  const client = await get(port, '/')
  await until(() => streams[0] !== undefined && streams[0].bytesRead > 0)
  t.ok(streams[0]!.bytesRead < file.size)
  t.equal((await readReply(client)).sha256, file.sha256)
  await decisions(1)
  t.equal(streams[0]!.bytesRead, file.size)
  // What the connection sends later is not this stream's.
  ask(client, '/')
  t.equal((await readReply(client)).sha256, file.sha256)
  t.match(await decisions(1), [{ path: 'file' }])
  t.strictSame(streams.map(stream => stream.bytesRead), [file.size, file.size])
  client.tls.destroy()
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
  // By OpenSSL, as a file, and by a write through the backend.
  const client = await get(port, '/json', ['', `GET /${file.name} HTTP/1.1`, 'Host: localhost'])
  const received = receive(client)
  t.match(await decisions(2), [{ path: 'node' }, { path: 'file' }])
  client.tls.write('GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n')
  t.match(await decisions(1), [{ path: AFTER_FILE }])
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
  t.match(await decisions(1), [{ path: AFTER_FILE, reason: 'stream-in-use' }])
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
    const before = countPromotions()
    const downloads = await curl(folder, [`${origin}/${file.name}`, `${origin}/${file.name}`], [`--tlsv${version}`, '--tls-max', version])
    t.ok(downloads.every(({ sha256 }) => sha256 === file.sha256))
    t.match(await decisions(2), [{ path: 'file' }, { path: 'file' }], `TLS ${version}`)
    t.equal(countPromotions() - before, 1)
  }
})
