import t from 'tap'
import { loadBinding } from '../../lib/binding'
import { BACKEND, canRekey, statsOf } from '../support/backend'
import { get, receive } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { countPromotions, usesDouble } from '../support/kernel'
import { connectRecords, SUITES } from '../support/record-client'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

const CLOSE_NOTIFY = [1, 0]
const STORM = 300

const folder = makeFolder(t)
const file = makeFile(folder, 5 << 20)
const small = makeFile(folder, 70_000)
const path = `/${file.name}`

/** A server, a client that has had a reply on a promoted connection, and whether its key can be changed. */
async function promoted (t: Tap.Test, suite?: string) {
  const server = await serveFolder(t, folder, { ktls: {} })
  const before = countPromotions()
  const client = await connectRecords(server.port, suite)
  client.get(`/${small.name}`)
  t.equal((await client.reply()).sha256, small.sha256)
  t.equal(countPromotions(), before + 1)
  return { ...server, client, rekey: canRekey(server.app), keys: () => statsOf(server.app).keys }
}

for (const suite of Object.keys(SUITES)) {
  t.test(`KeyUpdates that ask for none back, ${suite}`, async t => {
    const { client, keys } = await promoted(t, suite)
    client.updateKey(false)
    client.get(path)
    t.equal((await client.reply()).sha256, file.sha256, 'after one')
    client.get(path)
    for (let i = 0; i < STORM; i++) client.updateKey(false)
    client.get(path)
    t.equal((await client.reply()).sha256, file.sha256, 'during many')
    t.equal((await client.reply()).sha256, file.sha256, 'after many')
    t.equal(client.keyUpdates, 0)
    t.strictSame(keys(), { updated: 0, usedUp: 0 })
  })

  t.test(`a KeyUpdate that asks for one back, idle, ${suite}`, async t => {
    const { client, rekey, keys } = await promoted(t, suite)
    client.updateKey(true)
    if (rekey) {
      await client.until(() => client.keyUpdates === 1)
      client.updateKey(true)
      await client.until(() => client.keyUpdates === 2)
      client.get(path)
      t.equal((await client.reply()).sha256, file.sha256, 'under the new key')
      await until(() => keys().updated === 2)
      t.strictSame(client.alerts, [])
    } else {
      await client.until(() => client.ended)
      t.strictSame(client.alerts, [CLOSE_NOTIFY])
      t.strictSame([client.keyUpdates, keys()], [0, { updated: 0, usedUp: 1 }])
    }
  })

  t.test(`hundreds that ask for one back, during a transfer, ${suite}`, async t => {
    const { client, rekey, keys } = await promoted(t, suite)
    client.get(path)
    client.tcp.pause()
    for (let i = 0; i < STORM; i++) client.updateKey(true)
    client.tcp.resume()
    t.equal((await client.reply()).sha256, file.sha256)
    if (rekey) {
      client.get(path)
      t.equal((await client.reply()).sha256, file.sha256, 'and the next reply')
      await client.until(() => client.keyUpdates > 0)
      t.ok(client.keyUpdates <= STORM, `${client.keyUpdates} answers`)
      await until(() => keys().updated === client.keyUpdates)
      t.equal(keys().usedUp, 0)
    } else {
      await client.until(() => client.ended)
      t.strictSame(client.alerts, [CLOSE_NOTIFY], 'the reply is whole, then the connection ends')
      t.strictSame([client.keyUpdates, keys()], [0, { updated: 0, usedUp: 1 }])
    }
  })
}

t.test('thousands that ask for one back, idle, cost a few answers', async t => {
  const { client, rekey, keys } = await promoted(t)
  if (!rekey) return t.notOk(rekey, 'this kernel gives none')
  const before = keys().updated
  for (let i = 0; i < 10 * STORM; i++) client.updateKey(true)
  client.get(path)
  t.equal((await client.reply()).sha256, file.sha256)
  await until(() => keys().updated === client.keyUpdates)
  t.ok(client.keyUpdates > 0 && keys().updated - before < STORM, `${client.keyUpdates} answers`)
})

t.test('a client that does not read gets one answer for all that it has asked', async t => {
  const { client, rekey, keys, decisions } = await promoted(t)
  client.tcp.pause()
  client.get(path)
  for (let i = 0; i < STORM; i++) client.updateKey(true)
  // Its last byte is read after all these records were.
  client.get('/nothing')
  client.tcp.resume()
  t.equal((await client.reply()).sha256, file.sha256)
  if (!rekey) return
  t.match((await client.reply()).head, '404')
  await decisions(3)
  t.equal(keys().updated, client.keyUpdates)
})

t.test('the end to a slow client, after keys were changed', async t => {
  const { client, rekey, keys } = await promoted(t)
  if (rekey) {
    for (let i = 1; i <= 2; i++) {
      client.updateKey(true)
      await client.until(() => client.keyUpdates === i)
    }
  }
  client.tcp.pause()
  client.get(path, 'Connection: close')
  await until(() => keys().updated === client.keyUpdates)
  client.tcp.resume()
  t.equal((await client.reply()).sha256, file.sha256)
  await client.until(() => client.ended)
  t.strictSame(client.alerts, [CLOSE_NOTIFY])
  t.equal(client.keyUpdates, rekey ? 2 : 0)
})

t.test('a KeyUpdate before the promotion', async t => {
  const { app, port, decisions } = await serveFolder(t, folder, { ktls: {} })
  const before = countPromotions()
  const client = await connectRecords(port)
  client.updateKey(true)
  client.get(path)
  t.equal((await client.reply()).sha256, file.sha256)
  const rekey = canRekey(app)
  t.match(await decisions(1), [rekey ? { offloaded: true } : { path: 'node', reason: 'key-updated' }])
  t.equal(countPromotions(), before + (rekey ? 1 : 0))
  t.equal(client.keyUpdates, 1, 'answered by the backend, else by OpenSSL')
})

t.test('a key that has sealed enough records', async t => {
  const { binding } = loadBinding() as Extract<ReturnType<typeof loadBinding>, { binding: unknown }>
  binding.limitRecords(64)
  t.teardown(() => binding.limitRecords(1 << 24))

  for (const suite of ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384']) {
    await t.test(suite, async t => {
      const { client, rekey, keys } = await promoted(t, suite)
      client.get(path)
      t.equal((await client.reply()).sha256, file.sha256)
      if (rekey) {
        t.ok(client.keyUpdates >= 2, `${client.keyUpdates} keys for 320 records`)
        await until(() => keys().updated === client.keyUpdates)
        client.get(path)
        t.equal((await client.reply()).sha256, file.sha256)
      } else {
        await client.until(() => client.ended)
        t.strictSame([client.alerts, client.keyUpdates, keys()], [[CLOSE_NOTIFY], 0, { updated: 0, usedUp: 1 }])
      }
    })
  }
  await t.test('between a head and its file, whose record is open', async t => {
    binding.limitRecords(1 << 24)
    const { client, rekey } = await promoted(t)
    binding.limitRecords(1)
    client.get(`/${small.name}`)
    t.equal((await client.reply()).sha256, small.sha256)
    await client.until(() => rekey ? client.keyUpdates > 0 : client.ended)
    t.strictSame(client.alerts, rekey ? [] : [CLOSE_NOTIFY])
    binding.limitRecords(64)
  })
  await t.test('TLS 1.2 has no KeyUpdate', async t => {
    const { app, port } = await serveFolder(t, folder, { ktls: {}, tls: { maxVersion: 'TLSv1.2' } })
    const reply = await receive(await get(port, path, [], { ciphers: 'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384' }))
    t.equal(reply.sha256, file.sha256)
    t.ok(reply.clean, 'ends after the reply')
    t.strictSame(statsOf(app).keys, { updated: 0, usedUp: 1 })
  })
  await t.test('ChaCha20-Poly1305 has no limit', async t => {
    const { client, keys } = await promoted(t, 'TLS_CHACHA20_POLY1305_SHA256')
    client.get(path)
    t.equal((await client.reply()).sha256, file.sha256)
    client.get(path)
    t.equal((await client.reply()).sha256, file.sha256)
    t.strictSame([client.keyUpdates, keys()], [0, { updated: 0, usedUp: 0 }])
  })
})

// Neither the threads nor the host double have counters.
if (BACKEND === 'kernel' && !usesDouble()) {
  t.test('the kernel has counted no failure', async t => {
    const { app } = await promoted(t)
    t.equal(statsOf(app).kernel!.keys.failed, 0)
  })
}
