/* Tests over the stand-in that ask what any backend has to do, once more by the sender threads and over plain HTTP. */
import t from 'tap'
import { BY_THREADS, PLAIN } from './environment'
import { pathOf } from './files'
import { ONCE_MORE } from './where'

for (const [what, names, env] of [['by the threads', ONCE_MORE.threads, BY_THREADS], ['over plain HTTP', ONCE_MORE.plain, PLAIN]] as const) {
  for (const name of names) t.test(name, t => t.spawn(process.execPath, [pathOf('test', name)], { env }, what))
}
