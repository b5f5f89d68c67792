import { availableParallelism } from 'node:os'
import t from 'tap'
import { makeFolder } from '../support/files'
import { ROOT } from '../support/node'
import { Checkers } from './checkers'
import { sources, writeDatabase } from './native'

t.test('clang-tidy finds nothing in the addon', async t => {
  const checkers = await Checkers.get()
  const folder = makeFolder(t)
  const files = await writeDatabase(folder)
  // What is in prebuilt/ goes into the published addons alone.
  t.strictSame(files, sources('native').filter(name => name.endsWith('.cc') && !name.startsWith('native/prebuilt/')), 'every source is compiled')
  const options = ['--quiet', '-p', folder, `--extra-arg=-resource-dir=${checkers.resources}`]
  const next = files.values()
  await Promise.all(Array.from({ length: availableParallelism() }, async () => {
    for (const file of next) await t.resolves(checkers.run('clang-tidy', [...options, file], ROOT), file)
  }))
})
