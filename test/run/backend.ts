/*
 * Runs kernel tests in this process: those named on the command line, else all
 * beside this file but those of the full tier. Those that measure this process
 * (`*.alone`) have then one of their own each: what other tests leave behind, such
 * as a plugin's timer that ticks on, would be theirs. The kernel must have kernel
 * TLS; if not, they fail. With --double the host double stands in for it. With
 * --threads the backend under test are the sender threads, on any kernel.
 *
 * --part 1/2 and --part 2/2 run every other file each; --without leaves one out.
 */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import t from 'tap'
import { detect } from '../../lib/machine/support'

const self = basename(__filename)
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    double: { type: 'boolean', default: false },
    threads: { type: 'boolean', default: false },
    part: { type: 'string', default: '1/1' },
    without: { type: 'string', multiple: true, default: [] }
  }
})

// For the processes too that a test starts.
if (values.threads) process.env.KTLS_TEST_BACKEND = 'threads'
if (values.double) {
  process.env.KTLS_TEST_DOUBLE = '1'
  require('../double/install')
}

/** Left out where no kernel is under test, for these reasons. The stand-in has all but counters. */
function leftOut (): string[] {
  if (!values.double && !values.threads) return []
  const reasons = {
    counters: "the kernel's own counters; that there are none: fallback/ordinary",
    ...(!values.double && {
      doctor: 'what it says of a kernel that has TLS; of one that has not: fallback/doctor',
      support: 'what the kernel can do; that it cannot: fallback/ordinary'
    }),
    ...(values.threads && detect().support.available && {
      examples: 'they leave the choice to the plugin, which takes the kernel here'
    })
  }
  return Object.keys(reasons)
}

const named = positionals.map(name => `${name}.js`)
for (const file of named.length > 0 ? named : everyFile()) {
  if (named.length > 0 || !file.endsWith('.alone.js')) require(join(__dirname, file))
  else runAlone(basename(file, '.js'))
}

function everyFile (): string[] {
  const names = readdirSync(__dirname).filter(name => name.endsWith('.js') && !name.endsWith('.full.js') && name !== self).sort()
  const [part = NaN, parts = NaN] = values.part.split('/').map(Number)
  if (!(part >= 1 && part <= parts)) throw new Error(`no part ${values.part}`)
  const left = [...values.without, ...leftOut()].map(name => `${name}.js`)
  const unknown = left.filter(name => !names.includes(name))
  if (unknown.length > 0) throw new Error(`no test ${unknown.join(', ')}`)
  return names.filter((name, index) => index % parts === part - 1 && !left.includes(name))
}

function runAlone (name: string): void {
  const args = ['--expose-gc', __filename, ...(values.double ? ['--double'] : []), ...(values.threads ? ['--threads'] : []), name]
  // glibc counts as in use what its threads' caches hold, up to 200 KB each.
  const env = { ...process.env, GLIBC_TUNABLES: 'glibc.malloc.tcache_count=0' }
  t.test(name, t => t.spawn(process.execPath, args, { env }, name))
}
