/*
 * Runs kernel tests in this process: those named on the command line, else all
 * beside this file but those of the full tier. The kernel must have kernel TLS;
 * if not, they fail. With --double the host double stands in for it.
 */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'

const self = basename(__filename)
const { values, positionals } = parseArgs({ allowPositionals: true, options: { double: { type: 'boolean', default: false } } })
if (values.double) {
  process.env.KTLS_TEST_DOUBLE = '1'
  require('../double/install')
}

const named = positionals.map(name => `${name}.js`)
const files = named.length > 0 ? named : readdirSync(__dirname).filter(name => name.endsWith('.js') && !name.endsWith('.full.js') && name !== self).sort()
for (const file of files) require(join(__dirname, file))
