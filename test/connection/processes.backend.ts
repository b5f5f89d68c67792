import cluster from 'node:cluster'
import type { Worker } from 'node:cluster'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { certificate } from '../certificate'
import { get, receive } from '../support/client'
import type { EndedWorkers } from '../support/ended-worker'
import { makeFile, makeFolder } from '../support/files'
import { countPromotions, openDescriptors } from '../support/kernel'
import { messageOf } from '../support/message'
import { nodeJson } from '../support/node'
import { request } from '../support/request'
import { SCHEME } from '../support/server'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'
import { WORKER_SERVER, startWorker } from '../support/worker'
import type { Listening, Served } from '../support/worker-server'

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const large = makeFile(folder, 16 << 20)
const OFFLOADED = { path: 'file', reason: null, offloaded: true }

// Children find it there.
t.before(async () => { process.env.KTLS_TEST_CERTIFICATE ??= JSON.stringify(await certificate()) })

t.test("each worker of a cluster has its connections' files sent by the kernel", async t => {
  cluster.setupPrimary({ exec: WORKER_SERVER, args: [folder] })
  const workers = [cluster.fork(), cluster.fork()]
  t.teardown(() => { for (const worker of workers) worker.kill() })
  const listening = await Promise.all(workers.map(worker => messageOf<Listening>(worker.process)))
  const [port, ...others] = listening.map(({ port }) => port)
  t.strictSame(others, [port], 'on one port')

  // Each has asked the kernel what it can, by promotions.
  const before = countPromotions()
  const promoted = new Map<Worker, number>()
  const died = new AbortController()
  cluster.once('exit', () => died.abort())
  for (let requests = 1; promoted.size < workers.length; requests++) {
    const replied = once(cluster, 'message', { signal: died.signal }) as Promise<[Worker, Served]>
    t.equal((await request(`${SCHEME}://127.0.0.1:${port}/${file.name}`)).sha256, file.sha256)
    const [worker, served] = await replied
    t.match(served.decision, OFFLOADED)
    promoted.set(worker, served.promoted)
    const elsewhere = [...promoted.values()].reduce((sum, count) => sum + count, 0)
    t.equal(countPromotions(elsewhere) - before, requests)
  }
  for (const worker of workers) {
    worker.disconnect()
    t.strictSame(await once(worker, 'exit'), [0, null])
  }
})

t.test('a server in a worker thread, beside one in the main thread', async t => {
  const main = await serveFolder(t, folder, { ktls: {} })
  const { worker, origin, served, close } = await startWorker(folder)
  t.teardown(() => worker.terminate())
  const before = countPromotions()
  for (let round = 1; round <= 3; round++) {
    const [reply, ...responses] = await Promise.all([
      served(),
      request(`${origin}/${file.name}`),
      request(`${main.origin}/${file.name}`)
    ])
    for (const { sha256 } of responses) t.equal(sha256, file.sha256)
    t.match(reply.decision, OFFLOADED)
    t.match(await main.decisions(1), [OFFLOADED])
    t.equal(countPromotions(reply.promoted) - before, 2 * round)
  }
  t.equal(await close(), 0, 'the worker ends by itself')
  t.equal((await request(`${main.origin}/${file.name}`)).sha256, file.sha256)
  t.match(await main.decisions(1), [OFFLOADED])
})

t.test('TLS goes on in the main thread when the workers that had loaded the addon have ended', async t => {
  const { workers, bodies, addons } = await nodeJson<EndedWorkers>([join(__dirname, '../support/ended-worker.js'), folder, `/${file.name}`])
  t.equal(workers.length, 2)
  for (const worker of workers) t.match(worker, { decision: OFFLOADED, promotions: 1, sha256: file.sha256, exitCode: 0 })
  t.strictSame(bodies, Array(10).fill('main'))
  t.strictSame(addons, [], 'the main thread had not loaded it')
})

t.test('a worker thread is terminated in the middle of a transfer', async t => {
  const main = await serveFolder(t, folder, { ktls: {} })
  // The sender thread's own come with the first promotion.
  await request(`${main.origin}/${file.name}`)
  const descriptors = openDescriptors().length
  for (const round of [1, 2]) {
    const { worker, port } = await startWorker(folder)
    const before = countPromotions()
    const [torn, whole] = [await get(port, `/${large.name}`), await get(main.port, `/${large.name}`, ['Connection: close'])]
    await Promise.all([torn, whole].map(({ tls }) => once(tls, 'readable')))
    await worker.terminate()
    const { size, clean } = await receive(torn)
    t.ok(size < large.size, `round ${round}: ${size} bytes`)
    t.notOk(clean)
    const { sha256, clean: ended } = await receive(whole)
    t.equal(sha256, large.sha256, "the main thread's own transfer goes on")
    t.ok(ended)
    t.equal(countPromotions(1) - before, 2)
    await until(() => openDescriptors().length <= descriptors)
  }
})
