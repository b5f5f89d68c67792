/*
 * Runs tests of a backend (`*.backend.js`) in this process: those named on the command
 * line, by `folder/name` or by folder, else all but those of the full tier. Those that
 * measure this process (`*.alone`) have then one of their own each: what other tests
 * leave behind, such as a plugin's timer that ticks on, would be theirs. The kernel
 * must have kernel TLS; if not, they fail. With --double the host double stands in for
 * it. With --threads the backend under test are the sender threads, on any kernel; with
 * --plain it is HTTP without TLS.
 *
 * --part 1/2 and --part 2/2 run every other file each; --at names a place of run/where,
 * and leaves out what is left out there.
 */
import { parseArgs } from 'node:util'
import t from 'tap'
import { detect } from '../../lib/machine/support'
import { namesOf, pathOf, select } from './files'
import { leftOut, placeOf } from './where'
import type { Place } from './where'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    double: { type: 'boolean', default: false },
    threads: { type: 'boolean', default: false },
    plain: { type: 'boolean', default: false },
    part: { type: 'string', default: '1/1' },
    at: { type: 'string', multiple: true, default: [] }
  }
})

// For the processes too that a test starts.
if (values.threads) process.env.KTLS_TEST_BACKEND = 'threads'
if (values.plain) process.env.KTLS_TEST_BACKEND = 'plain'
if (values.double) {
  process.env.KTLS_TEST_DOUBLE = '1'
  require('../double/install')
}

function places (): Place[] {
  const named = values.at.map(placeOf)
  if (values.double) named.push('double')
  // Both: the threads over the stand-in, which has all but counters.
  else if (values.threads) named.push('threads')
  if (values.plain) named.push('plain')
  if (values.threads && detect().support.available) named.push('threads-beside-kernel')
  return named
}

const names = positionals.length > 0 ? namesOf('backend') : partOf(values.part)
for (const name of select(names, positionals, leftOut(...places()))) {
  if (positionals.includes(name) || !name.endsWith('.alone')) require(pathOf('backend', name))
  else runAlone(name)
}

function partOf (text: string): string[] {
  const [part = NaN, parts = NaN] = text.split('/').map(Number)
  if (!(part >= 1 && part <= parts)) throw new Error(`no part ${text}`)
  return namesOf('backend').filter(name => !name.endsWith('.full')).filter((_name, index) => index % parts === part - 1)
}

function runAlone (name: string): void {
  const args = ['--expose-gc', __filename, ...(values.double ? ['--double'] : []), ...(values.threads ? ['--threads'] : []), ...(values.plain ? ['--plain'] : []), name]
  // glibc counts as in use what its threads' caches hold, up to 200 KB each.
  const env = { ...process.env, GLIBC_TUNABLES: 'glibc.malloc.tcache_count=0' }
  t.test(name, t => t.spawn(process.execPath, args, { env }, name))
}
