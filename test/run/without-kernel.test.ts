/* The tests of a backend once more, by those that need no kernel TLS. */
import { join } from 'node:path'
import t from 'tap'
import { BY_THREADS, PLAIN } from './environment'

for (const [what, option, env] of [['by the sender threads', '--threads', BY_THREADS], ['over plain HTTP', '--plain', PLAIN]] as const) {
  t.test(what, t => t.spawn(process.execPath, ['--expose-gc', join(__dirname, 'backend.js'), option], { env }, 'the tests of a backend'))
}
