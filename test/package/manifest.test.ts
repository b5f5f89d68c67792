import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ROOT } from '../support/node'
import { run } from '../vm/run'
import { pack } from './pack'
import type { Packed } from './pack'

/** Versions of symbols that Node 20's own binaries need (its BUILDING.md), so that every system with a Node has them. */
const NEWEST: Readonly<Record<string, readonly number[]>> = { GLIBC: [2, 28], GLIBCXX: [3, 4, 25], CXXABI: [1, 3, 11] }

let packed: Packed
t.before(async () => { packed = await pack(t) })

t.test('the manifest', async t => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<string, object>
  const scripts = Object.keys(manifest.scripts!)
  t.strictSame(scripts.filter(name => /^(pre|post)?(install|prepare)$|^dependencies$/.test(name)), [], 'nothing runs at installation')
  t.equal(manifest.gypfile, false, "nor npm's own build for a binding.gyp")
  for (const field of ['os', 'cpu', 'libc', 'optionalDependencies', 'bundleDependencies']) t.equal(manifest[field], undefined, `no "${field}"`)
  t.strictSame(Object.keys(manifest.dependencies!), ['@fastify/error', 'fastify-plugin'])
})

t.test('the tarball', async t => {
  t.ok(packed.size < 1e6, `${packed.size} bytes`)
  const sources = (folder: string, kind: RegExp) => readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).filter(name => kind.test(name) && !/^(build|prebuilt|prebuilds)\//.test(name)).map(name => join(folder, name))
  t.strictSame([...packed.files].sort(), [
    'LICENSE', 'README.md', 'package.json', 'types/index.d.ts', 'types/metrics.d.ts', 'types/register.d.ts', 'types/static.d.ts',
    'native/prebuilds/linux-arm64.node', 'native/prebuilds/linux-x64.node',
    ...sources('lib', /\.ts$/).map(name => `dist/${name.replace(/\.ts$/, '.js')}`),
    ...sources('native', /\.(cc|h|gyp|js)$/),
    ...sources('docs', /\.md$/)
  ].sort())
})

t.test('the prebuilt addons need no newer libraries than Node 20 does', async t => {
  for (const arch of ['x64', 'arm64']) {
    const sections = await run('readelf', ['--wide', '--dynamic', '--version-info', join(ROOT, `native/prebuilds/linux-${arch}.node`)])
    const libraries = [...sections.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name)
    // Both names lead to musl as well.
    t.strictSame(libraries, ['libstdc++.so.6', 'libc.so.6'], arch)
    const versions = new Set([...sections.matchAll(/Name: ((?:GLIBC|GLIBCXX|CXXABI)_[\d.]+) /g)].map(([, version]) => version!))
    t.ok(versions.size > 0)
    for (const version of versions) {
      const [name, number] = version.split('_') as [string, string]
      t.ok(isAtMost(number.split('.').map(Number), NEWEST[name]!), `${arch}: ${version}`)
    }
    t.match(sections, /\(FLAGS_1\)\s+Flags: .*NODELETE/)
  }
})

function isAtMost (version: readonly number[], limit: readonly number[]): boolean {
  const difference = limit.map((part, index) => part - (version[index] ?? 0)).find(part => part !== 0)
  return difference === undefined || difference > 0
}
