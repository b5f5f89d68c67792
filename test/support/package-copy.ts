import { copyFileSync, cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT } from './node'

/** Another copy of the package, in a folder that need not be there yet. Without `addon`, the path of one, it has none. */
export function copyPackage (folder: string, addon?: string): void {
  mkdirSync(folder, { recursive: true })
  cpSync(join(ROOT, 'dist/lib'), join(folder, 'dist/lib'), { recursive: true })
  copyFileSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  if (addon === undefined) return
  const copied = join(folder, 'native/build/Release/fastify_ktls.node')
  mkdirSync(dirname(copied), { recursive: true })
  copyFileSync(addon, copied)
}
