/*
 * The tests of a backend once more, with the sender threads as the backend: they need no
 * kernel TLS. And those over the stand-in that ask what any backend has to do.
 */
import { join } from 'node:path'
import t from 'tap'
import { pathOf } from './files'
import { ONCE_MORE } from './where'

const env = { ...process.env, TAP: '1', TAP_TIMEOUT: '1800', KTLS_TEST_BACKEND: 'threads' }

t.test('the tests of a backend', async t => {
  await t.spawn(process.execPath, ['--expose-gc', join(__dirname, 'backend.js'), '--threads'], { env }, 'by the threads')
})

for (const name of ONCE_MORE.threads) {
  t.test(name, async t => {
    await t.spawn(process.execPath, [pathOf('test', name)], { env }, 'by the threads')
  })
}
