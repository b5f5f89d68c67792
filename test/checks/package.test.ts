import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packWhatIsBuilt, temporaryFolder } from '../package/pack'
import { run } from '../vm/run'
import type { Packed } from '../package/pack'

let packed: Packed
t.before(async () => { packed = await packWhatIsBuilt(t) })

t.test('its types are found however the package is resolved', async t => {
  const { checkPackage, createPackageFromTarballData } = await import('@arethetypeswrong/core')
  const { problems } = await checkPackage(createPackageFromTarballData(readFileSync(packed.tarball))) as { problems?: unknown[] }
  t.strictSame(problems, [])
})

t.test('publint has nothing to say', async t => {
  const { publint } = await import('publint')
  const folder = temporaryFolder(t)
  await run('tar', ['-xzf', packed.tarball, '-C', folder])
  const { messages } = await publint({ pkgDir: join(folder, 'package'), pack: false, level: 'suggestion' })
  t.strictSame(messages, [])
})
