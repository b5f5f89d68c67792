import { once } from 'node:events'
import t from 'tap'
import { statsOf } from '../support/backend'
import { get } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { openDescriptors } from '../support/kernel'
import { memoryInUse } from '../support/memory'
import { request } from '../support/request'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

/** Four of them make the thousand; the first one fills caches. */
const BATCH = 250

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
        await once(client.tls, 'close')
      } else if ((await request(`${origin}/${file.name}`)).sha256 !== file.sha256) {
        t.fail('wrong body')
      }
    }
    await until(() => statsOf(app).connections.open === 0)
    await until(() => openDescriptors().length <= base)
    return memoryInUse()
  }
  // The sender thread's own descriptors come with the first promotion.
  await request(`${origin}/${file.name}`)
  await until(() => statsOf(app).connections.open === 0)
  const base = openDescriptors().length
  const samples = [await download(BATCH)]
  for (let i = 0; i < 3; i++) samples.push(await download(BATCH))
  for (const [kind, bound] of [['native', 256], ['heap', 2048]] as const) {
    // A leak grows each time; what Node allocates or drops once does not.
    const growth = samples.slice(1).map((sample, i) => Math.round((sample[kind] - samples[i]![kind]) / BATCH))
    t.ok(growth.filter(bytes => bytes < bound).length >= 2, `${kind} memory grew by ${growth.join(', ')} bytes a download`)
  }
  t.equal(statsOf(app).connections.promoted, 4 * BATCH + 1)
})
