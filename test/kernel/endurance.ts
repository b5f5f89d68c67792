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
  await download(200)
  const sizes: NodeJS.MemoryUsage[] = []
  for (let batch = 0; batch < 5; batch++) sizes.push(await download(200))
  // The process grows and shrinks by itself; what leaks makes every batch grow,
  // by an object of JavaScript's or by a buffer of the native part's.
  for (const [kind, bytes] of [['heapUsed', 1024], ['rss', 16384]] as const) {
    const growth = Math.min(...sizes.slice(1).map((size, index) => size[kind] - sizes[index]![kind])) / 200
    t.ok(growth < bytes, `${kind} grew by at least ${growth.toFixed()} bytes a download`)
  }
  t.equal(app.ktls.stats().connections.promoted, 1201)
})
