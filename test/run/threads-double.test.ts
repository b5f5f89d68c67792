/* Tests over the stand-in that ask what any backend has to do, once more with the sender threads as the backend. */
import t from 'tap'
import { BY_THREADS } from './environment'
import { pathOf } from './files'
import { ONCE_MORE } from './where'

for (const name of ONCE_MORE.threads) {
  t.test(name, async t => {
    await t.spawn(process.execPath, [pathOf('test', name)], { env: BY_THREADS }, 'by the threads')
  })
}
