import { createReadStream } from 'node:fs'
import type { FastifyReply } from 'fastify'
import type { Socket } from 'node:net'
import t from 'tap'
import { statsOf } from '../support/backend'
import { ask, open, readReply, requestOf } from '../support/client'
import type { RawClient } from '../support/client'
import { makeFile, makeFolder, openCount } from '../support/files'
import { startServer } from '../support/server'
import type { TestServer } from '../support/server'
import { until } from '../support/wait'

const LEAVE: Readonly<Record<string, (client: RawClient) => void>> = {
  'ends its side': ({ tls }) => tls.end(),
  'closes the connection': ({ tls }) => tls.destroy(),
  'resets the connection': ({ tcp }) => tcp.resetAndDestroy()
}

/** What becomes of a reply that others are pipelined behind, and that never comes by itself. */
interface First {
  readonly handled?: (reply: FastifyReply) => void
  /** Once the others wait: a client that hears of the end sends no more. */
  readonly waitedFor?: (reply: FastifyReply) => void
}

const FIRST: Readonly<Record<string, First>> = {
  'a long poll': {},
  'a hijacked reply': { handled: reply => { reply.hijack() } },
  'a reply after socket.end()': { waitedFor: reply => { reply.raw.socket!.end() } }
}

/** Serves `file` at /, and what never comes at /first. */
async function serve (t: Tap.Test, path: string, handled: (reply: FastifyReply) => void = () => {}): Promise<TestServer & { seen: { asked: number, closed: number, first?: FastifyReply } }> {
  const seen: { asked: number, closed: number, first?: FastifyReply } = { asked: 0, closed: 0 }
  const server = await startServer(t, {
    ktls: {},
    fastify: { forceCloseConnections: 'idle' },
    setup: app => {
      app.get('/', (_request, reply) => {
        seen.asked++
        return reply.send(createReadStream(path))
      })
      app.get('/first', (request, reply) => {
        request.raw.once('close', () => { seen.closed++ })
        seen.first = reply
        handled(reply)
      })
    }
  })
  return { ...server, seen }
}

for (const [name, { handled, waitedFor }] of Object.entries(FIRST)) {
  t.test(`a client that has pipelined files behind ${name}`, async t => {
    const folder = makeFolder(t)
    const file = makeFile(folder, 100_000)
    for (const promoted of [false, true]) {
      for (const [how, leave] of Object.entries(LEAVE)) {
        const { app, port, seen } = await serve(t, file.path, handled)
        const client = await open(port)
        if (promoted) {
          ask(client, '/')
          await readReply(client)
        }
        const asked = seen.asked
        client.tls.write(requestOf('/first') + requestOf('/'))
        // In a read of their own.
        await until(() => seen.asked === asked + 1)
        client.tls.write(requestOf('/') + requestOf('/'))
        await until(() => seen.asked === asked + 3 && openCount(file.path) === 3)
        waitedFor?.(seen.first!)
        client.tls.resume()
        leave(client)
        await until(() => seen.closed === 1 && statsOf(app).connections.open === 0 && openCount(file.path) === 0)
        await app.close()
        t.pass(`${how}, ${promoted ? 'promoted' : 'fresh'}: is heard, and leaves nothing open`)
      }
    }
  })
}

const REQUESTS = 300

t.test('a client that pipelines much and reads nothing does not hold open many files', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 100_000)
  let poll: FastifyReply | undefined
  const { app, port, seen } = await serve(t, file.path, reply => { poll = reply })
  const padding = [`X-Padding: ${'x'.repeat(4000)}`]
  const client = await open(port)
  ask(client, '/first')
  // Some 16 of them to one read of a socket, which is of 64 KiB.
  client.tls.write(requestOf('/', padding).repeat(REQUESTS))
  await until(() => poll !== undefined && seen.asked > 0 && openCount(file.path) === seen.asked && socketOf(poll).bytesRead > REQUESTS * 4000)
  t.ok(seen.asked < 50, `${seen.asked} of ${REQUESTS} requests are handled while their turn has not come`)
  poll!.send('first')
  await readReply(client)
  for (let i = 0; i < REQUESTS; i++) {
    if ((await readReply(client)).sha256 !== file.sha256) t.fail(`reply ${i}`)
    if (openCount(file.path) > 50) t.fail(`${openCount(file.path)} files are open`)
  }
  t.match(statsOf(app).replies, { file: REQUESTS })
  client.tls.destroy()
})

function socketOf (reply: FastifyReply): Socket {
  return reply.raw.socket!
}

t.test('a client that pipelines more requests than are held is read no further until some are handled', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 10)
  let poll: FastifyReply | undefined
  const { app, port, seen } = await serve(t, file.path, reply => { poll = reply })
  const client = await open(port)
  ask(client, '/first')
  ask(client, '/')
  await until(() => seen.asked === 1)
  const many = 4000
  client.tls.write(requestOf('/').repeat(many))
  await until(() => socketOf(poll!).isPaused())
  t.ok(seen.asked <= 16)
  poll!.send('first')
  await readReply(client)
  for (let i = 0; i <= many; i++) {
    if ((await readReply(client)).sha256 !== file.sha256) t.fail(`reply ${i}`)
  }
  t.equal(seen.asked, many + 1)
  client.tls.destroy()
  await until(() => statsOf(app).connections.open === 0 && openCount(file.path) === 0)
})
