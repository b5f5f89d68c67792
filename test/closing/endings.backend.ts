import { createReadStream, truncateSync } from 'node:fs'
import type { ReadStream } from 'node:fs'
import { once } from 'node:events'
import t from 'tap'
import { closings } from '../support/accounts'
import { statsOf } from '../support/backend'
import { get, receive } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { countPromotions, openDescriptors } from '../support/kernel'
import { request } from '../support/request'
import { startServer } from '../support/server'
import { keepAllBuffersSmall } from '../support/sockets'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

/** More than the buffers of a connection hold where they are kept small. */
const BIG = 4 << 20

// The sender thread's own descriptors come with the first promotion.
t.before(async () => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 100_000)
  const { origin } = await serveFolder(t, folder, { ktls: {} })
  await request(`${origin}/${file.name}`)
})

t.test('a client that leaves in the middle', async t => {
  keepAllBuffersSmall(t)
  const folder = makeFolder(t)
  const file = makeFile(folder, BIG)
  const { app, port, origin } = await serveFolder(t, folder, { ktls: {} })
  const before = openDescriptors().length
  for (const how of ['by closing', 'by a reset'] as const) {
    await t.test(how, async t => {
      const promotions = countPromotions()
      const client = await get(port, `/${file.name}`)
      await once(client.tls, 'data')
      if (how === 'by closing') client.tls.destroy()
      else client.tcp.resetAndDestroy()
      await until(() => statsOf(app).connections.open === 0 && openDescriptors().length <= before)
      t.equal(countPromotions() - promotions, 1)
      const next = await request(`${origin}/${file.name}`)
      t.equal(next.sha256, file.sha256, 'the next client is served')
    })
  }
})

t.test('a file that is truncated during its transfer ends the connection', async t => {
  keepAllBuffersSmall(t)
  const folder = makeFolder(t)
  const file = makeFile(folder, BIG)
  const { app, port, origin, warnings } = await serveFolder(t, folder, { ktls: {} })
  const client = await get(port, `/${file.name}`)
  await once(client.tls, 'readable')
  truncateSync(file.path, 1 << 20)
  const received = await receive(client)
  t.ok(received.size < BIG)
  t.notOk(received.clean, 'no close_notify pretends that this was all')
  t.ok(warnings.some(({ err }) => (err as { code?: string } | undefined)?.code === 'FST_KTLS_FILE_TRUNCATED'), 'the log says so')
  await until(() => statsOf(app).connections.open === 0)
  t.equal((await request(`${origin}/${file.name}`)).body.length, 1 << 20)
})

t.test('a file that is gone before it is opened gives the ordinary error reply', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 100_000)
  const setup = (app: Awaited<ReturnType<typeof startServer>>['app']) => {
    app.get('/gone', (_request, reply) => reply.send(createReadStream(`${folder}/gone`)))
    app.get('/file', (_request, reply) => reply.send(createReadStream(file.path)))
  }
  const plain = await startServer(t, { setup })
  const { origin, port } = await startServer(t, { ktls: {}, setup })
  const [expected, got] = [await request(`${plain.origin}/gone`), await request(`${origin}/gone`)]
  t.strictSame([got.status, got.body.toString()], [expected.status, expected.body.toString()])
  t.equal(got.status, 500)

  // The same on a connection that is promoted already.
  const client = await get(port, '/file', ['', 'GET /gone HTTP/1.1', 'Host: localhost', 'Connection: close'])
  const { head, clean } = await receive(client)
  t.match(head, 'HTTP/1.1 200')
  t.ok(clean)
})

t.test("no byte reaches another client's connection, descriptors being reused on purpose", async t => {
  keepAllBuffersSmall(t)
  const folder = makeFolder(t)
  const leaving = makeFile(folder, BIG)
  const staying = [600_001, 600_002, 600_003].map(size => makeFile(folder, size))
  const { app, port, origin } = await serveFolder(t, folder, { ktls: {} })
  for (let round = 0; round < 10; round++) {
    const clients = await Promise.all([1, 2, 3].map(() => get(port, `/${leaving.name}`)))
    await Promise.all(clients.map(({ tls }) => once(tls, 'readable')))
    // Gone on the server's side too before the next ones arrive on the same numbers.
    for (const { tcp } of clients) tcp.resetAndDestroy()
    await until(() => statsOf(app).connections.open === 0)
    const replies = await Promise.all(staying.map(file => request(`${origin}/${file.name}`)))
    for (const [index, reply] of replies.entries()) {
      if (reply.sha256 !== staying[index]!.sha256) t.fail(`round ${round}: wrong body`)
    }
  }
  t.equal(statsOf(app).replies.file, 10 * 6)
})

t.test('a stream destroyed by the application ends its connection', async t => {
  keepAllBuffersSmall(t)
  const folder = makeFolder(t)
  const file = makeFile(folder, BIG)
  let stream: ReadStream | undefined
  const { app, port } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/', (_request, reply) => {
        stream = createReadStream(file.path)
        return reply.send(stream)
      })
    }
  })
  const before = openDescriptors().length
  const client = await get(port, '/')
  await once(client.tls, 'readable')
  stream!.destroy()
  const { size, clean } = await receive(client)
  t.ok(size < BIG)
  t.notOk(clean)
  await until(() => statsOf(app).connections.open === 0 && openDescriptors().length <= before)
})

t.test('the server closes in the middle of transfers', async t => {
  keepAllBuffersSmall(t)
  const folder = makeFolder(t)
  const file = makeFile(folder, BIG)
  const { app, port } = await serveFolder(t, folder, { ktls: {} })
  const clients = await Promise.all([1, 2, 3].map(() => get(port, `/${file.name}`)))
  await Promise.all(clients.map(({ tls }) => once(tls, 'readable')))
  await app.close()
  for (const { size, clean } of await Promise.all(clients.map(receive))) {
    t.ok(size < BIG)
    t.notOk(clean)
  }
})

t.test('the last bytes arrive before a clean end, however slow the client', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 9_000_001)
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const { app, port } = await serveFolder(t, folder, { ktls: {} })
    await until(() => statsOf(app).connections.open === 0)
    const before = closings()
    const client = await get(port, `/${file.name}`, ['Connection: close'], { minVersion: version, maxVersion: version })
    await once(client.tls, 'readable')
    await until(() => statsOf(app).bytes.file > 1_000_000)
    const { sha256, clean } = await receive(client)
    t.equal(sha256, file.sha256)
    t.ok(clean, 'close_notify came')
    await until(() => closings().exact > before.exact)
    t.strictSame(closings(), { ...before, exact: before.exact + 1 }, 'TCP got what the kernel took, to the byte')
  }
})
