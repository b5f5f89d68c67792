import { copyFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { certificate } from '../certificate'
import { makeFile } from '../support/files'
import { ROOT } from '../support/node'
import { run } from '../vm/run'
import { temporaryFolder } from './pack'

/** Command lines, in the project's folder. */
const RUNNERS: Readonly<Record<string, readonly string[]>> = {
  'Jest, all in one process': [join(ROOT, 'node_modules/jest/bin/jest.js'), '--runInBand', '--verbose'],
  'Jest, in processes': [join(ROOT, 'node_modules/jest/bin/jest.js'), '--maxWorkers=2', '--verbose'],
  'Vitest, in processes': [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--globals', '--pool=forks'],
  'Vitest, in worker threads': [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--globals', '--pool=threads'],
  'Vitest, all in one process': [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--globals', '--pool=forks', '--no-isolate', '--no-file-parallelism']
}

const FILES = ['a.test.cjs', 'b.test.cjs', 'c.test.cjs']

/** For each a bound, in milliseconds: a hang is what this is about. */
const TIMEOUT = 120_000

for (const [name, command] of Object.entries(RUNNERS)) {
  t.test(name, async t => {
    const folder = temporaryFolder(t)
    const { path, sha256 } = makeFile(folder, 1_000_000)
    writeFileSync(join(folder, 'settings.json'), JSON.stringify({
      https: await certificate(), path, sha256, plugin: join(ROOT, 'dist/lib/index.js'), request: join(ROOT, 'dist/test/support/request.js')
    }))
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ jest: { testMatch: ['**/*.test.cjs'], rootDir: '.' } }))
    writeFileSync(join(folder, 'vitest.config.mjs'), "export default { test: { include: ['*.test.cjs'], testTimeout: 30_000 } }")
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    for (const file of FILES) copyFileSync(join(__dirname, 'runner-suite.js'), join(folder, file))
    // In place of tap's own: the stand-in for the kernel.
    const options = `--require ${join(ROOT, 'dist/test/double/install.js')}`
    const printed = await run('env', [`NODE_OPTIONS=${options}`, 'CI=1', 'NO_COLOR=1', 'sh', '-c', 'exec "$@" 2>&1', 'sh', process.execPath, ...command], { cwd: folder, timeout: TIMEOUT })
    t.match(printed, /^ *Tests:? +6 passed(, 6 total| \(6\))/m)
    t.notMatch(printed, /did not exit|open handle|MaxListeners/i)
  })
}
