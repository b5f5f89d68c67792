/*
 * Runs the tests that spoil the network and the disk of the machine they run on
 * (`*.machine.js`), so in a guest only, as root: those named on the command line, by
 * `folder/name` or by folder, else all, and then some by the threads and over plain HTTP. --calls: then every
 * system call of the transmit path fails too, in front of the kernel, in a process of its
 * own, as it has another addon.
 */
import { parseArgs } from 'node:util'
import t from 'tap'
import { BY_THREADS, ENVIRONMENT, PLAIN } from './environment'
import { namesOf, pathOf, select } from './files'
import { ONCE_MORE } from './where'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    calls: { type: 'boolean', default: false }
  }
})

for (const name of select(namesOf('machine'), positionals)) require(pathOf('machine', name))

if (positionals.length === 0) {
  const { threads, plain } = ONCE_MORE.machine
  for (const [what, names, env] of [['by the threads', threads, BY_THREADS], ['over plain HTTP', plain, PLAIN]] as const) {
    for (const name of names) t.test(name, t => t.spawn(process.execPath, ['--expose-gc', __filename, name], { env }, what))
  }
}

if (values.calls) {
  const env = { ...ENVIRONMENT, KTLS_TEST_ADDON: 'fastify_ktls_faults' }
  for (const name of ONCE_MORE.guest) t.test('each system call fails once', t => t.spawn(process.execPath, ['--expose-gc', pathOf('test', name)], { env }))
}
