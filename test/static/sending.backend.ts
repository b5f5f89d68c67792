import type fastifyStaticPlugin from '@fastify/static'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import t from 'tap'
import { statsOf } from '../support/backend'
import { ask, get, open, readReply } from '../support/client'
import { makeFile, makeFolder, openCount } from '../support/files'
import { countPromotions } from '../support/kernel'
import { request } from '../support/request'
import { startServer } from '../support/server'
import type { TestServer } from '../support/server'
import { keepAllBuffersSmall } from '../support/sockets'
import { until } from '../support/wait'

const keepingStatic = require('fastify-ktls/static') as typeof fastifyStaticPlugin

/** Milliseconds after which a file counts as unchanged. */
const OLD = 30
/** The first answer, the one that is learnt, and two from the file kept open. */
const TIMES = 4

function serve (t: Tap.Test, root: string): Promise<TestServer> {
  return startServer(t, { ktls: {}, setup: async app => { await app.register(keepingStatic, { root }) } })
}

async function grownOld (): Promise<void> {
  const end = Date.now() + OLD
  await until(() => Date.now() > end)
}

t.test('files that are kept open go as others do', async t => {
  const folder = makeFolder(t)
  const files = [makeFile(folder, 1000), makeFile(folder, 65_536), makeFile(folder, 3_000_001)]
  const { app, origin, decisions } = await serve(t, folder)
  await grownOld()
  const promotions = countPromotions()
  for (const { name, sha256 } of files) {
    for (let time = 1; time <= TIMES; time++) t.equal((await request(`${origin}/${name}`)).sha256, sha256, `${name}, time ${time}`)
  }
  t.match(await decisions(files.length * TIMES), files.flatMap(({ size }) => Array(TIMES).fill({ path: size < 65_536 ? 'node' : 'file' })))
  t.equal(countPromotions() - promotions, 2 * TIMES)
  t.match(app.ktls.stats().files, { open: 3, hits: 3 * (TIMES - 2), misses: { new: 3 * 2 } })
  await until(() => files.every(({ path }) => openCount(path) === 1))
  await app.close()
  await until(() => files.every(({ path }) => openCount(path) === 0))
})

t.test('a kept file that is deleted while it is sent arrives whole, and is gone then', async t => {
  keepAllBuffersSmall(t)
  const file = makeFile(makeFolder(t), 4_000_000)
  const { app, port, origin, decisions } = await serve(t, dirname(file.path))
  await grownOld()
  for (let time = 1; time < TIMES; time++) t.equal((await request(`${origin}/${file.name}`)).sha256, file.sha256)
  const promotions = countPromotions()
  const client = await get(port, `/${file.name}`)
  await once(client.tls, 'readable')
  rmSync(file.path)
  t.match((await request(`${origin}/${file.name}`)).status, 404)
  t.equal((await readReply(client)).sha256, file.sha256)
  client.tls.destroy()
  t.match((await decisions(TIMES + 1)).filter(({ path }) => path === 'file').length, TIMES)
  t.equal(countPromotions() - promotions, 1)
  await until(() => statsOf(app).connections.open === 0)
  t.match(app.ktls.stats().files, { open: 0, hits: 2, misses: { new: 2, changed: 1 } })
})

t.test('clients that leave, and many that ask at once', async t => {
  const folder = makeFolder(t)
  const [small, large] = [makeFile(folder, 30_000), makeFile(folder, 2_000_000)]
  const { app, port, origin } = await serve(t, folder)
  await grownOld()
  for (const { name } of [small, large, small, large]) await request(`${origin}/${name}`)
  const promotions = countPromotions()
  const clients = await Promise.all(Array.from({ length: 12 }, () => open(port)))
  await Promise.all(clients.map(async (client, i) => {
    if (i % 3 === 0) {
      ask(client, `/${large.name}`)
      await once(client.tls, 'readable')
      return client.tcp.resetAndDestroy()
    }
    for (const { name, sha256 } of [small, large, small]) {
      ask(client, `/${name}`)
      t.equal((await readReply(client)).sha256, sha256)
    }
    client.tls.destroy()
  }))
  t.equal(countPromotions() - promotions, 12)
  await until(() => statsOf(app).connections.open === 0 && [small, large].every(({ path }) => openCount(path) === 1))
  t.match(app.ktls.stats().files, { open: 2, hits: 4 + 8 * 3, misses: { new: 4 } })
})

t.test('from minSize on, a small kept file is sent by the backend', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 1000)
  const { app, origin, decisions } = await startServer(t, { ktls: { minSize: 1000 }, setup: async app => { await app.register(keepingStatic, { root: folder }) } })
  await grownOld()
  for (let time = 1; time <= TIMES; time++) t.equal((await request(`${origin}/${file.name}`)).sha256, file.sha256)
  for (let time = 1; time <= TIMES; time++) t.equal((await request(`${origin}/${file.name}`, { headers: { range: 'bytes=0-998' } })).status, 206)
  t.match(await decisions(2 * TIMES), [...Array(TIMES).fill({ path: 'file', reason: null }), ...Array(TIMES).fill({ path: 'node', reason: 'too-small' })])
  t.match(app.ktls.stats().files, { hits: TIMES - 2 + TIMES })
})
