/*
 * Runs the tests that spoil the network and the disk of the machine they run on,
 * so in a guest only, as root: those named on the command line, else all beside
 * this file.
 */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'

const named = process.argv.slice(2).map(name => `${name}.js`)
const all = readdirSync(__dirname).filter(name => name.endsWith('.js') && name !== basename(__filename)).sort()
for (const file of named.length > 0 ? named : all) require(join(__dirname, file))
