import { once } from 'node:events'
import t from 'tap'
import { get } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { openDescriptors } from '../support/kernel'
import { request } from '../support/request'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

t.test('a thousand downloads later, descriptors and memory are where they were', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 100_000)
  const { app, origin, port } = await serveFolder(t, folder, { ktls: {} })
  const download = async (times: number) => {
    for (let i = 0; i < times; i++) {
      // Every tenth download leaves in the middle.
      if (i % 10 === 9) {
        const client = await get(port, `/${file.name}`)
        await once(client.tls, 'data')
        client.tls.destroy()
      } else if ((await request(`${origin}/${file.name}`)).sha256 !== file.sha256) {
        t.fail('wrong body')
      }
    }
    await until(() => app.ktls.stats().connections.open === 0)
    global.gc!()
    await until(() => openDescriptors().length <= base)
    return process.memoryUsage()
  }
  // The sender thread's own descriptors come with the first promotion.
  await request(`${origin}/${file.name}`)
  await until(() => app.ktls.stats().connections.open === 0)
  const base = openDescriptors().length
  // Node's heaps take about as many downloads to reach their size.
  const settled = await download(1000)
  const after = await download(1000)
  for (const [kind, bound] of [['rss', 8 << 20], ['heapUsed', 1 << 20]] as const) {
    const growth = after[kind] - settled[kind]
    t.ok(growth < bound, `${kind} grew by ${(growth / 2 ** 20).toFixed(1)} MiB`)
  }
  t.equal(app.ktls.stats().connections.promoted, 2001)
})
