import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { pathOf } from '../run/files'
import { ONCE_MORE } from '../run/where'
import { ROOT } from '../support/node'
import { run } from '../vm/run'

/** The runtime libraries. */
const LIBRARIES = { address: 'libasan.so', undefined: 'libubsan.so', thread: 'libtsan.so' }

export type Sanitizer = keyof typeof LIBRARIES

/** How a report ends the process. */
const OPTIONS = {
  // Node gives back nothing at its end, and V8's heap is opaque to the leak check.
  ASAN_OPTIONS: 'detect_leaks=0',
  UBSAN_OPTIONS: 'print_stacktrace=1',
  // Node itself is not instrumented: its own locks are not seen.
  TSAN_OPTIONS: 'exitcode=66 ignore_noninstrumented_modules=1'
}

/**
 * Builds the addon with the host double under sanitizers of the compiler's, in a
 * folder of its own, and runs tests over it. Rejects at the first report.
 */
export async function sanitize (...sanitizers: readonly Sanitizer[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'fastify-ktls-'))
  try {
    const left = ['native/build', 'dist/prebuilt'].map(name => join(ROOT, name))
    for (const part of ['native', 'test', 'dist', 'types', 'package.json']) {
      cpSync(join(ROOT, part), join(folder, part), { recursive: true, filter: source => !left.includes(source) })
    }
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    const flag = `-fsanitize=${sanitizers.join(',')} -fno-sanitize-recover=all`
    const flags = { CXXFLAGS: `${flag} -g -fno-omit-frame-pointer`, LDFLAGS: flag, JOBS: String(availableParallelism()) }
    await run(process.execPath, ['native/build.js', '--tests=double'], { cwd: folder, env: { ...process.env, ...flags } })
    const preload = await Promise.all(sanitizers.map(async name => (await run('g++', [`-print-file-name=${LIBRARIES[name]}`])).trim()))
    const environment = { ...process.env, ...OPTIONS, NODE_OPTIONS: '', TAP_TIMEOUT: '900' }
    // Loaded into Node alone: setarch is started with random addresses.
    const command = [...await fixedAddresses(), 'env', `LD_PRELOAD=${preload.join(' ')}`, process.execPath, '--expose-gc']
    const { kernel, threads, plain } = ONCE_MORE.sanitizers
    const more = sanitizers.includes('thread') ? [] : ONCE_MORE.addressSanitizer
    for (const [backend, tests] of Object.entries({ kernel: [...kernel, ...more], threads, plain })) {
      for (const test of tests) {
        await run('env', [...command, join(folder, relative(ROOT, pathOf('test', test)))], { cwd: folder, env: { ...environment, KTLS_TEST_BACKEND: backend } })
      }
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/**
 * What starts a program without random addresses: those of a kernel with more bits of
 * them than GCC 12 knows of (vm.mmap_rnd_bits) end ThreadSanitizer's at its start.
 * Nothing in a container that forbids it (personality(2)).
 */
function fixedAddresses (): Promise<string[]> {
  return run('setarch', ['-R', 'true']).then(() => ['setarch', '-R'], () => [])
}
