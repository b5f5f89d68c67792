/*
 * Runs the tests that spoil the network and the disk of the machine they run on,
 * so in a guest only, as root: those named on the command line, else all beside
 * this file. --calls: then every system call of the transmit path fails too, in
 * front of the kernel, in a process of its own, as it has another addon.
 */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import t from 'tap'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { calls: { type: 'boolean', default: false } } })

const named = positionals.map(name => `${name}.js`)
const all = readdirSync(__dirname).filter(name => name.endsWith('.js') && name !== basename(__filename)).sort()
for (const file of named.length > 0 ? named : all) require(join(__dirname, file))

if (values.calls) {
  const env = { ...process.env, KTLS_TEST_ADDON: 'fastify_ktls_faults' }
  t.test('each system call fails once', t => t.spawn(process.execPath, ['--expose-gc', join(__dirname, '../faults/calls.test.js')], { env }))
}
