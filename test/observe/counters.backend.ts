/* The kernel's own counters. Neither the threads nor the host double have any: run/where leaves this out for them. */
import t from 'tap'
import { canRekey, statsOf } from '../support/backend'
import { makeFile, makeFolder } from '../support/files'
import { connectRecords } from '../support/record-client'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

t.test('the kernel counts each promotion and each change of a key, and no failure', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 300_000)
  const { app, port } = await serveFolder(t, folder, { ktls: {} })
  const before = statsOf(app).kernel!
  const client = await connectRecords(port)
  client.get(`/${file.name}`)
  t.equal((await client.reply()).sha256, file.sha256)
  client.updateKey(true)
  await client.until(() => client.keyUpdates === 1 || client.ended)
  // The client has the KeyUpdate before the kernel has the key.
  if (canRekey(app)) await until(() => statsOf(app).keys.updated === 1)
  const { promoted, keys, open } = statsOf(app).kernel!
  t.equal(promoted.software, before.promoted.software + 1)
  t.equal(promoted.device, 0)
  t.strictSame(keys, { updated: before.keys.updated + (canRekey(app) ? 1 : 0), failed: 0 })
  if (canRekey(app)) t.ok(open.software >= 1)
})
