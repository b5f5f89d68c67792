/*
 * What of the doctor needs no kernel, and would take its time in a guest.
 */
process.env.KTLS_TEST_DOUBLE = '1'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import t from 'tap'
import { runDoctor } from '../support/doctor'
import { makeFolder } from '../support/files'
import { until } from '../support/wait'

t.test('its own file, of 100 MB, is removed at the end', async t => {
  const folder = makeFolder(t)
  const { code, stdout } = await runDoctor(['bench', '--seconds', '0.1'], { env: { TMPDIR: folder } })
  t.equal(code, 0)
  t.match(stdout, '100MB.bin (100000000 bytes)')
  t.strictSame(readdirSync(folder), [])
})

t.test('Ctrl-C leaves neither the file nor a server', async t => {
  const folder = makeFolder(t)
  let servers: number[] = []
  const { code, stdout } = await runDoctor(['bench', '--seconds', '3600'], {
    env: { TMPDIR: folder },
    onStart: child => {
      until(() => (servers = childrenOf(child.pid!)).length === 2).then(() => child.kill('SIGINT'), t.threw)
    }
  })
  t.equal(code, 1)
  t.equal(stdout, '')
  t.strictSame(readdirSync(folder), [])
  await until(() => !servers.some(pid => existsSync(`/proc/${pid}`)))
})

function childrenOf (pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}
