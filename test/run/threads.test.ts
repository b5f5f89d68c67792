/* The tests of a backend once more, with the sender threads as the backend: they need no kernel TLS. */
import { join } from 'node:path'
import t from 'tap'
import { BY_THREADS } from './environment'

t.test('the tests of a backend', async t => {
  await t.spawn(process.execPath, ['--expose-gc', join(__dirname, 'backend.js'), '--threads'], { env: BY_THREADS }, 'by the threads')
})
