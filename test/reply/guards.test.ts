import '../double/install'
import { appendFileSync, createReadStream } from 'node:fs'
import type { ReadStream } from 'node:fs'
import { once } from 'node:events'
import type { FastifyReply } from 'fastify'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { statsOf } from '../support/backend'
import { ask, get } from '../support/client'
import { listen } from '../support/events'
import { makeFile, makeFolder, openCount } from '../support/files'
import { request } from '../support/request'
import { startServer } from '../support/server'
import type { TestServer } from '../support/server'
import { until } from '../support/wait'

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const large = makeFile(folder, 40 << 20)

t.test('what changes after the stream was opened still counts', async t => {
  const change: Record<string, (stream: ReadStream, reply: FastifyReply) => void> = {
    'stream-in-use': stream => { stream.on('data', chunk => { seen += chunk.length }) },
    'headers-sent': (_stream, reply) => { reply.raw.flushHeaders() }
  }
  let seen = 0
  const { origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      for (const [reason, apply] of Object.entries(change)) {
        app.get(`/${reason}`, (_request, reply) => {
          const stream = createReadStream(file.path)
          // While the plugin asks for the size of the file.
          stream.once('ready', () => apply(stream, reply))
          return reply.send(stream)
        })
      }
    }
  })
  for (const reason of Object.keys(change)) {
    t.equal((await request(`${origin}/${reason}`)).sha256, file.sha256, reason)
    t.match(await decisions(1), [{ offloaded: false, reason }])
  }
  t.equal(seen, file.size, 'the listener got every byte')
})

t.test('a file that has grown since its Content-Length was set is not sent under it', async t => {
  const growing = makeFile(folder, 200_000)
  const { origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/', (_request, reply) => {
        const sent = reply.header('content-length', growing.size).send(createReadStream(growing.path))
        appendFileSync(growing.path, 'more')
        return sent
      })
    }
  })
  await request(origin).catch(() => {})
  t.match(await decisions(1), [{ path: 'node', reason: 'content-length-mismatch' }])
})

t.test('a stream destroyed while the plugin asks for the size of its file', async t => {
  const setup = (app: TestServer['app']) => {
    app.get('/', (_request, reply) => {
      const stream = createReadStream(file.path)
      stream.once('ready', () => stream.destroy())
      return reply.send(stream)
    })
  }
  const plain = await startServer(t, { setup })
  const tested = await startServer(t, { ktls: {}, setup })
  const [expected, got] = [await request(plain.origin), await request(tested.origin)]
  t.strictSame([got.status, got.body.toString()], [expected.status, expected.body.toString()])
  await until(() => openCount(file.path) === 0)
  t.equal(statsOf(tested.app).replies.file, 0)
})

/** A client that has read the head of /, the server's side of its connection and the promise of the decision. */
async function promoted (t: Tap.Test, path: string) {
  let socket: TLSSocket | undefined
  const { app, port, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/', (request, reply) => {
        socket = request.raw.socket as TLSSocket
        return reply.send(createReadStream(path))
      })
      app.get('/behind', (request, reply) => {
        request.raw.socket.write(Buffer.alloc(64 << 20))
        return reply.send(createReadStream(large.path))
      })
    }
  })
  const client = await get(port, '/')
  await once(client.tls, 'readable')
  return { app, client, decisions, socket: socket! }
}

t.test('a file that waits behind other writes is closed with its connection', async t => {
  const { app, client, decisions, socket } = await promoted(t, file.path)
  client.tls.resume()
  await decisions(1)
  client.tls.pause()
  const heard = listen(t)
  ask(client, '/behind')
  await until(() => heard.some(({ event }) => event === 'transfer.started'))
  t.equal(openCount(large.path), 1)
  socket.destroy()
  t.match(await decisions(1), [{ path: 'file' }])
  client.tcp.resetAndDestroy()
  await until(() => openCount(large.path) === 0 && statsOf(app).connections.open === 0)
})

t.test('an idle timeout spares a transfer that moves and ends one that does not', async t => {
  const { app, client, socket } = await promoted(t, large.path)
  let timeouts = 0
  socket.on('timeout', () => { timeouts++ })
  // What Node calls when the time is up.
  const timeUp = () => (socket as unknown as { _onTimeout: () => void })._onTimeout()
  const sent = () => statsOf(app).bytes.file
  await until(() => sent() > 0)
  timeUp()
  t.equal(timeouts, 0, 'it has begun')
  client.tls.on('data', () => {})
  const before = sent()
  await until(() => sent() > before)
  client.tls.pause()
  timeUp()
  t.equal(timeouts, 0, 'it has moved')
  let moved = -1
  await until(() => {
    const last = moved
    moved = sent()
    if (moved === last) timeUp()
    return timeouts > 0
  })
  t.pass('it is stuck')
  client.tcp.resetAndDestroy()
})
