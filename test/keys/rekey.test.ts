/*
 * The kernel tests of key updates once more, as on a kernel that can rekey; over
 * the double of run/node-versions it cannot. The same where the cipher is
 * asynchronous, with its alerts. And the key that is refused.
 */
process.env.KTLS_TEST_DOUBLE = '1'
process.env.KTLS_DOUBLE_REKEY = '1'
require('../double/install')
require('./keys.backend')
import t from 'tap'
import { statsOf } from '../support/backend'
import { makeFile, makeFolder } from '../support/files'
import { connectRecords } from '../support/record-client'
import { serveFolder } from '../support/static'
import { arm, fired } from '../faults/injector'

if (process.env.KTLS_DOUBLE_SEND_LIMIT === undefined) {
  t.spawn(process.execPath, [__filename], { env: { ...process.env, KTLS_DOUBLE_SEND_LIMIT: '120000' } }, 'an asynchronous cipher')
} else {
  require('../records/alerts.backend')
}

for (const transfer of [false, true]) {
  t.test(`the kernel refuses the key that was announced, ${transfer ? 'in mid-transfer' : 'idle'}`, async t => {
    const folder = makeFolder(t)
    const file = makeFile(folder, 8 << 20)
    const small = makeFile(folder, 70_000)
    const { app, port } = await serveFolder(t, folder, { ktls: {} })
    let errors = 0
    app.server.on('clientError', () => { errors++ })
    const client = await connectRecords(port)
    client.get(`/${small.name}`)
    t.equal((await client.reply()).sha256, small.sha256)
    arm({ point: 'setsockopt TLS_TX', effect: 'ENOMEM', call: 1 })
    client.tcp.pause()
    if (transfer) client.get(`/${file.name}`)
    client.updateKey(true)
    client.tcp.resume()
    await client.until(() => client.ended)
    t.equal(fired()['setsockopt TLS_TX'], 1)
    arm()
    // A record after it would be under the old key, which the client does not take.
    t.strictSame([client.keyUpdates, client.alerts], [1, []])
    t.equal(errors, 1)
    t.equal(statsOf(app).keys.updated, 0)
  })
}

t.test('no key is changed as long as a network card encrypts, which may refuse it when the client has been told', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 8 << 20)
  for (const transfer of [false, true]) {
    const { app, port } = await serveFolder(t, folder, { ktls: {} })
    const client = await connectRecords(port)
    client.get(`/${file.name}`)
    if (!transfer) t.equal((await client.reply()).sha256, file.sha256)
    arm({ point: 'tls_stat', effect: 'at most 1', call: 1 })
    client.updateKey(true)
    if (transfer) t.equal((await client.reply()).sha256, file.sha256)
    await client.until(() => client.ended)
    t.equal(fired().tls_stat, 1)
    t.strictSame([client.keyUpdates, client.alerts], [0, [[1, 0]]])
    t.match(statsOf(app).keys, { updated: 0, usedUp: 1 })
    arm()
  }
})
