/* Which backend gets a connection where both are allowed, as they are by default, and where one is. */
import t from 'tap'
import type { Backend } from '../../types/index'
import { makeFile, makeFolder } from '../support/files'
import { connectRecords } from '../support/record-client'
import { request } from '../support/request'
import { serveFolder } from '../support/static'
import { arm, calls, fired } from '../faults/injector'
import type { Effect, Point } from '../faults/injector'

const BOTH: readonly Backend[] = ['threads', 'kernel']

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const url = `/${file.name}`

t.afterEach(() => arm())

t.test('the kernel is asked first, in whatever order they are listed', async t => {
  const { app, origin, decisions } = await serveFolder(t, folder, { ktls: { backends: BOTH } })
  t.equal((await request(origin + url)).sha256, file.sha256)
  t.match(await decisions(1), [{ path: 'file', backend: 'kernel', offloaded: true, reason: null }])
  t.strictSame(app.ktls.stats().connections.promoted, { kernel: 1, threads: 0, plain: 0 })
})

t.test('the threads alone do not ask the kernel', async t => {
  const { app, origin, decisions } = await serveFolder(t, folder, { ktls: { backends: ['threads'] } })
  arm()
  t.equal((await request(origin + url)).sha256, file.sha256)
  t.match(await decisions(1), [{ path: 'file', backend: 'threads', offloaded: true, reason: null }])
  t.strictSame([calls()['setsockopt TCP_ULP'], calls()['setsockopt TLS_TX']], [0, 0])
  const { connections, replies, bytes } = app.ktls.stats()
  t.strictSame(connections.promoted, { kernel: 0, threads: 1, plain: 0 })
  t.strictSame(replies, { file: { kernel: 0, threads: 1, plain: 0 }, write: { kernel: 0, threads: 0, plain: 0 }, node: 0 })
  t.match(bytes, { file: { kernel: 0, threads: file.size }, write: { kernel: 0 } })
})

/** The second has attached the ULP. */
const REFUSALS: ReadonlyArray<readonly [Point, Effect]> = [['setsockopt TCP_ULP', 'ENOENT'], ['setsockopt TLS_TX', 'EINVAL']]

t.test('the threads take the place of a kernel that refuses', async t => {
  for (const [point, effect] of REFUSALS) {
    const { app, port, origin, decisions, warnings } = await serveFolder(t, folder, { ktls: { backends: BOTH } })
    const client = await connectRecords(port)
    arm({ point, effect, call: 1 })
    for (let i = 0; i < 2; i++) {
      client.get(url)
      t.equal((await client.reply()).sha256, file.sha256, `${point} ${effect}`)
    }
    t.equal(fired()[point], 1)
    t.match(await decisions(2), [{ path: 'file', backend: 'threads', reason: null }, { path: 'file', backend: 'threads', reason: null }])
    // Nothing of the kernel's is in the way of a change of keys, and of the end.
    client.updateKey(true)
    client.get('/none', 'Connection: close')
    t.match((await client.reply()).head, '404')
    t.match(await decisions(1), [{ path: 'write', backend: 'threads' }])
    await client.until(() => client.ended)
    t.strictSame([client.keyUpdates, client.alerts], [1, [[1, 0]]])
    t.match(warnings.map(({ msg }) => msg), [`${point} failed with ${effect}`], 'said once')

    t.equal((await request(origin + url)).sha256, file.sha256)
    t.match(await decisions(1), [{ backend: 'kernel' }], 'the next connection is offered to the kernel again')
    t.strictSame(app.ktls.stats().connections.promoted, { kernel: 1, threads: 1, plain: 0 })
    t.strictSame(app.ktls.stats().fallbacks, { data: 1 })
  }
})

t.test('a client that has changed keys before the promotion goes by the threads, where the kernel cannot', async t => {
  const { app, port, decisions } = await serveFolder(t, folder, { ktls: { backends: BOTH } })
  t.equal(app.ktls.support.rekey, false, 'this one cannot')
  const client = await connectRecords(port)
  client.updateKey(true)
  client.get(url)
  t.equal((await client.reply()).sha256, file.sha256)
  t.match(await decisions(1), [{ path: 'file', backend: 'threads', reason: null }])
  t.equal(client.keyUpdates, 1)
})
