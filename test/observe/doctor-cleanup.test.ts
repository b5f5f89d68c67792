/*
 * What of the doctor's comparison needs no kernel, and would take its time in a guest.
 */
process.env.KTLS_TEST_DOUBLE = '1'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import t from 'tap'
import type { Comparison } from '../../lib/doctor/bench/comparison'
import { SMALLEST } from '../../lib/doctor/bench/file'
import { MARGIN } from '../../lib/doctor/bench/time'
import { runBench, runDoctor } from '../support/doctor'
import { makeFile, makeFolder } from '../support/files'
import { until } from '../support/wait'

/** Milliseconds until a process runs and until its end is heard of, on a busy machine. */
const SPAWNING = 5000

t.test('it ends in its time, and removes its own file, of 100 MB', async t => {
  const cwd = makeFolder(t)
  const { code, stdout, stderr, milliseconds } = await runBench(['--json'], { cwd })
  t.equal(code, 0, stderr)
  const { seconds, ...comparison } = JSON.parse(stdout) as Comparison
  t.match(comparison, { file: /100MB\.bin$/, size: 100_000_000, contenders: [{ name: 'default' }, { name: 'kernel' }, { name: 'threads' }] })
  t.ok(milliseconds < seconds * 1000 + MARGIN + SPAWNING, `${milliseconds} ms`)
  for (const name of ['Fastify\'s default', 'kernel TLS', 'sender threads']) t.match(stderr, new RegExp(`^${name}: turn 2 of 2$`, 'm'), name)
  t.strictSame(readdirSync(cwd), [])
})

t.test('where a server hangs it is given up in time', async t => {
  let servers: number[] = []
  const { code, stdout, stderr, milliseconds } = await runDoctor(['bench', makeFile(makeFolder(t), SMALLEST).path, '--seconds', '2'], {
    onStart: child => {
      until(() => (servers = childrenOf(child.pid!)).length === 3).then(() => process.kill(servers[0]!, 'SIGSTOP')).catch(t.threw)
    }
  })
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, /\nnot all had ended after 2 s; give it more by --seconds\n$/)
  t.ok(milliseconds < 2000 + MARGIN + SPAWNING, `${milliseconds} ms`)
  await until(() => !servers.some(pid => existsSync(`/proc/${pid}`)))
})

t.test('Ctrl-C leaves neither the file nor a server', async t => {
  const cwd = makeFolder(t)
  let servers: number[] = []
  const { code, stdout } = await runDoctor(['bench', '--seconds', '3600'], {
    cwd,
    onStart: child => {
      until(() => (servers = childrenOf(child.pid!)).length === 3).then(() => {
        t.equal(readdirSync(cwd).length, 1)
        child.kill('SIGINT')
      }).catch(t.threw)
    }
  })
  t.equal(code, 1)
  t.equal(stdout, '')
  t.strictSame(readdirSync(cwd), [])
  await until(() => !servers.some(pid => existsSync(`/proc/${pid}`)))
})

function childrenOf (pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}
