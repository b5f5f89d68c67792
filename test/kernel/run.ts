/*
 * Runs kernel tests in this process: those named on the command line, else all
 * beside this file. The kernel must have kernel TLS; if not, they fail.
 */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'

const self = basename(__filename)
const named = process.argv.slice(2).map(name => `${name}.js`)
const files = named.length > 0 ? named : readdirSync(__dirname).filter(name => name.endsWith('.js') && name !== self).sort()
for (const file of files) require(join(__dirname, file))
