/*
 * A socket that says that it is writable and takes nothing, as the kernel's does
 * when it is out of memory.
 */
import t from 'tap'
import { BACKEND } from '../support/backend'
import { get, receive } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'
import { arm, calls } from './injector'
import type { Fault } from './injector'

/** The call that sends a file. */
const SENDS = BACKEND === 'kernel' ? 'sendfile' : 'sendmsg of data'
const ATTEMPTS = 7
const NOTHING_CACHED: Fault = { point: 'cachestat', effect: 'at most 0', call: 1, times: Infinity }

t.test('it is asked again by the clock, not at once', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 300_000)
  const { port } = await serveFolder(t, folder, { ktls: {}, lies: true })
  for (const faults of [[], [NOTHING_CACHED]]) {
    arm(...faults, { point: SENDS, effect: 'EAGAIN', call: 1, times: Infinity })
    const received = receive(await get(port, `/${file.name}`, ['Connection: close']))
    await until(() => calls()[SENDS] >= ATTEMPTS)
    t.ok(calls().epoll_ctl <= 1, 'it is not waited for as if it were full')
    arm(...faults)
    t.equal((await received).sha256, file.sha256)
  }
})
