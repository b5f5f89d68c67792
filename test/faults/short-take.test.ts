/*
 * TCP takes less than it had room for, by any number of bytes: what is kept, and how many
 * records are made at once from then on, for files and for bodies in memory.
 */
import { Agent } from 'node:https'
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { BACKEND } from '../support/backend'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { request } from '../support/request'
import { serveFolder } from '../support/static'
import { arm, fired } from './injector'
import type { Point } from './injector'

const SENDS: Point = BACKEND === 'kernel' ? 'sendfile' : 'sendmsg of data'

/** Of the most records that are made at once (native/records/batch_size.h), on the wire by TLS 1.3. */
const BATCH = 16 * (5 + 16384 + 1 + 16)

t.test('whatever is taken of a whole batch and the head before it, what follows is right', async t => {
  const folder = makeFolder(t)
  // From the second on, batches are whole.
  const long = makeFile(folder, 8_000_000)
  // A batch and a little, so that there is room for more than it.
  const batch = makeFile(folder, 16 * 16384 + 1000)
  const memory = randomBytes(8_000_000)
  const { origin, decisions } = await serveFolder(t, folder, { ktls: {}, lies: true, setup: app => { app.get('/memory', (_request, reply) => reply.send(memory)) } })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const of = (path: string) => request(origin + path, { agent })
  for (const taken of [1, 16384, BATCH - 1, BATCH, BATCH + 1, BATCH + 40, BATCH + 100]) {
    arm()
    t.equal((await of(`/${long.name}`)).sha256, long.sha256)
    arm({ point: SENDS, effect: `at most ${taken}`, call: 1 })
    t.equal((await of(`/${batch.name}`)).sha256, batch.sha256, `${taken} taken`)
    t.equal(fired()[SENDS], 1)
    t.equal((await of('/memory')).sha256, sha256(memory), `data, after ${taken}`)
    t.equal((await of(`/${long.name}`)).sha256, long.sha256, `a file, after ${taken}`)
    t.match(await decisions(4), [{ path: 'file' }, { path: 'file' }, { path: 'write' }, { path: 'file' }])
  }
})
