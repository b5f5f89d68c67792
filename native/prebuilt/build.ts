import { copyFileSync, cpSync, mkdirSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import type { Progress } from '../../test/vm/cache'
import { nodeBinary } from '../../test/vm/node-versions'
import { run } from '../../test/vm/run'
import { ARCHES, Compilers } from './compilers'
import type { Arch } from './compilers'

/** Makes `native/prebuilds` of a checkout; what has not changed since the last time is not compiled again. */
export async function buildAll (root: string, onProgress: Progress): Promise<void> {
  const compilers = await Compilers.get(onProgress)
  const headers = dirname(dirname(await nodeBinary(20, onProgress)))
  for (const arch of ARCHES) {
    onProgress(`building for linux-${arch}`)
    await build(root, arch, compilers.command(arch), headers)
  }
}

async function build (root: string, arch: Arch, compiler: string, headers: string): Promise<void> {
  const folder = join(root, 'dist/prebuilt', arch)
  const output = ['build', 'prebuilds'].map(name => join(root, 'native', name))
  const options = { recursive: true, preserveTimestamps: true }
  cpSync(join(root, 'native'), folder, { ...options, filter: source => !output.includes(source) })
  cpSync(join(root, 'native/prebuilt'), folder, options)

  const gyp = createRequire(join(root, 'package.json')).resolve('node-gyp/bin/node-gyp.js')
  const env = { ...process.env, CXX: compiler, LINK: compiler, JOBS: String(availableParallelism()) }
  for (const command of [['configure', `--nodedir=${headers}`, `--arch=${arch}`, '--', '--include=prebuilt.gypi'], ['build']]) {
    await run(process.execPath, [gyp, '--loglevel=warn', ...command], { cwd: folder, env })
  }

  // A process that has the old one loaded keeps it.
  const target = join(root, 'native/prebuilds', `linux-${arch}.node`)
  mkdirSync(dirname(target), { recursive: true })
  copyFileSync(join(folder, 'build/Release/fastify_ktls.node'), `${target}.new`)
  renameSync(`${target}.new`, target)
}
