import '../double/install'
import fs, { createReadStream } from 'node:fs'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyReply } from 'fastify'
import t from 'tap'
import type { ChannelMessages } from '../../types/index'
import { statsOf } from '../support/backend'
import { get, requestOf } from '../support/client'
import { listen } from '../support/events'
import { makeFile, makeFolder, openCount } from '../support/files'
import { request } from '../support/request'
import { startServer } from '../support/server'
import { until } from '../support/wait'

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const small = makeFile(folder, 5000)

t.test('files of a pipelining client that has left before they were sent are closed', async t => {
  const WAITING = 20
  const late: FastifyReply[] = []
  let closed = false
  const { app, port } = await startServer(t, {
    ktls: {},
    setup: app => {
      // Has its turn, and keeps it.
      app.get('/first', (request, reply) => {
        request.raw.socket.once('close', () => setImmediate(() => { closed = true }))
        reply.hijack()
      })
      app.get('/late', (_request, reply) => { late.push(reply) })
    }
  })
  const client = await get(port, '/first')
  for (let i = 0; i < WAITING; i++) client.tls.write(requestOf('/late'))
  await until(() => late.length === WAITING)
  client.tcp.destroy()
  await until(() => closed)
  const streams = late.map((reply, index) => {
    const stream = createReadStream((index % 2 === 0 ? file : small).path)
    reply.send(stream)
    return stream
  })
  await until(() => streams.every(stream => stream.closed))
  t.equal(openCount(file.path) + openCount(small.path), 0)
  t.match(statsOf(app).replies, { file: 0 })
})

t.test('a stream that reads by itself keeps its descriptor', async t => {
  const { read } = fs
  t.teardown(() => { fs.read = read })
  const { origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      for (const { name, path } of [file, small]) {
        app.get(`/${name}`, (_request, reply) => {
          const stream = createReadStream(path)
          // Begun while the plugin asks for the file's size, as graceful-fs does.
          stream.once('open', () => stream.read(0))
          return reply.send(stream)
        })
      }
    }
  })
  for (const { name, path, sha256 } of [file, small]) {
    const opened = fs.statSync(path)
    const seen: number[] = []
    // The read comes late, as it does where the pool is busy: when a decision has been made.
    fs.read = ((fd: number, ...rest: unknown[]) => {
      decided.then(() => {
        seen.push(fs.fstatSync(fd).ino)
        Reflect.apply(read, fs, [fd, ...rest])
      })
    }) as typeof fs.read
    const decided = new Promise<void>(resolve => {
      const onFallback = () => {
        unsubscribe('fastify-ktls.reply.fallback', onFallback)
        resolve()
      }
      subscribe('fastify-ktls.reply.fallback', onFallback)
    })
    t.equal((await request(`${origin}/${name}`)).sha256, sha256)
    t.match(await decisions(1), [{ offloaded: false, reason: 'stream-in-use' }])
    t.ok(seen.length > 0 && seen.every(ino => ino === opened.ino), 'each read was of the file')
  }
})

t.test("the descriptor of a stream that does not close it stays the application's", async t => {
  const fds: number[] = []
  const { origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      for (const { name, path } of [file, small]) {
        app.get(`/${name}`, (_request, reply) => reply.send(createReadStream(path, { autoClose: false }).once('open', fd => fds.push(fd))))
      }
    }
  })
  for (const { name, sha256 } of [file, small]) {
    t.equal((await request(`${origin}/${name}`)).sha256, sha256)
    await decisions(1)
  }
  t.strictSame(fds.map(fd => fs.fstatSync(fd).size), [file.size, small.size], 'still open')
  for (const fd of fds) fs.closeSync(fd)
})

t.test('a transfer that the backend took whole has finished, though the connection is destroyed before Node hears of it', async t => {
  const events = listen(t)
  // TCP takes it all, though nobody reads meanwhile.
  const file = makeFile(makeFolder(t), 70_000)
  const { app, port, decisions } = await startServer(t, {
    ktls: {},
    setup: app => { app.get('/', (_request, reply) => reply.send(createReadStream(file.path))) }
  })
  const destroy = (message: unknown) => {
    const { socket } = message as ChannelMessages['fastify-ktls.transfer.started']
    // The loop hears nothing meanwhile.
    setImmediate(() => {
      for (let looks = 0; looks < 1e5 && statsOf(app).bytes.file < file.size; looks++);
      socket.destroy()
    })
  }
  subscribe('fastify-ktls.transfer.started', destroy)
  t.teardown(() => unsubscribe('fastify-ktls.transfer.started', destroy))
  const client = await get(port, '/')
  t.match(await decisions(1), [{ path: 'file' }])
  t.strictSame(events.map(({ event }) => event).filter(event => event.startsWith('transfer.')), ['transfer.started', 'transfer.finished'])
  client.tls.destroy()
})
