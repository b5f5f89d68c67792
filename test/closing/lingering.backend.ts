import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { statsOf } from '../support/backend'
import { get, open, readReply, receive, requestOf, send } from '../support/client'
import { curl } from '../support/curl'
import { makeFile, makeFolder, sockets } from '../support/files'
import { countPromotions, openDescriptors } from '../support/kernel'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

/** Of each kind and size; KTLS_TEST_UPLOADS names another number. */
const UPLOADS = Number(process.env.KTLS_TEST_UPLOADS ?? 3)

const SIZES = [100_000, 256_000, 1_000_000, 4_000_000]

/** Refuses each upload that is larger than it says, with the file that its header names. */
function refuseUploads (app: FastifyInstance): void {
  app.setErrorHandler((_error, request, reply) => reply.code(413).sendFile(String(request.headers['x-page'])))
  app.post('/', { bodyLimit: 1000 }, async () => 'taken')
}

for (const promoted of [false, true]) {
  t.test(`a file that refuses an upload arrives whole, ${promoted ? 'on a promoted' : 'on a fresh'} connection`, async t => {
    const folder = makeFolder(t)
    const upload = join(folder, 'upload')
    writeFileSync(upload, Buffer.alloc(20_000_000))
    const { origin, decisions } = await serveFolder(t, folder, { ktls: {}, setup: refuseUploads })
    const first = makeFile(folder, 70_000)
    for (const size of SIZES) {
      const page = makeFile(folder, size)
      for (let i = 0; i < UPLOADS; i++) {
        const before = countPromotions()
        const [reply] = (await curl(folder, [...(promoted ? [`${origin}/${first.name}`] : []), `${origin}/`], [
          '--header', 'Expect:', '--header', 'Content-Type: application/json', '--header', `X-Page: ${page.name}`
        ], { last: ['--data-binary', `@${upload}`] })).slice(-1)
        t.match(reply, { status: 413, sha256: page.sha256, connects: promoted ? 0 : 1 }, `${size} bytes`)
        t.equal(countPromotions() - before, 1)
        t.match((await decisions(promoted ? 2 : 1)).at(-1), { path: 'file' })
      }
    }
  })
}

t.test('a file with Connection: close arrives whole though requests are pipelined behind it', async t => {
  const folder = makeFolder(t)
  const padding = [`X-Padding: ${'x'.repeat(2000)}`]
  for (const size of SIZES) {
    const file = makeFile(folder, size)
    const { port, decisions } = await serveFolder(t, folder, {
      ktls: {},
      setup: app => {
        app.get('/close', async (_request, reply) => {
          await sleep(100)
          return reply.header('connection', 'close').sendFile(file.name)
        })
      }
    })
    const client = await open(port)
    client.tls.write(requestOf('/close') + requestOf(`/${file.name}`, padding).repeat(300))
    t.equal((await readReply(client)).sha256, file.sha256, `${size} bytes`)
    t.match(await decisions(1), [{ path: 'file' }])
    client.tls.destroy()
  }
})

t.test('a client that sends no more, and does not close, is waited for some seconds', async t => {
  const folder = makeFolder(t)
  const page = makeFile(folder, 100_000)
  for (const leaves of [true, false]) {
    const { app, port } = await serveFolder(t, folder, { ktls: {}, setup: refuseUploads })
    // Those of other tests may be given up meanwhile.
    const others = sockets()
    const client = await open(port)
    client.tcp.allowHalfOpen = true
    send(client, 'POST / HTTP/1.1', 'Host: localhost', `X-Page: ${page.name}`, 'Content-Type: application/json', 'Content-Length: 100000')
    const { sha256, head } = await readReply(client)
    t.equal(sha256, page.sha256)
    t.match(head, /^connection: close\r$/im)
    await until(() => statsOf(app).connections.open === 0)
    const begun = Date.now()
    const kept = () => [...sockets()].filter(socket => !others.has(socket)).length > 1
    if (leaves) {
      client.tls.destroy()
    } else {
      t.ok(kept(), 'the connection is kept though Node has closed it')
      await until(() => !kept())
      const seconds = (Date.now() - begun) / 1000
      t.ok(seconds > 3 && seconds < 15, `${seconds} seconds`)
      client.tls.destroy()
    }
    await app.close()
  }
})

t.test('a client that only reads keeps nothing open once it has all', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 100_000)
  const { app, port } = await serveFolder(t, folder, { ktls: {} })
  for (let i = 0; i < 2; i++) {
    const descriptors = openDescriptors().length
    const client = await get(port, `/${file.name}`, ['Connection: close'])
    const { sha256, clean } = await receive(client)
    t.equal(sha256, file.sha256)
    t.ok(clean)
    await until(() => statsOf(app).connections.open === 0 && (i === 0 || openDescriptors().length <= descriptors))
  }
})
