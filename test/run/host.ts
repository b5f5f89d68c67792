/*
 * npm run test:host: has tap run every test on the host (`*.test.js`) but those that start a
 * guest, and those that run/where leaves out here. Arguments are tap's.
 */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../support/node'
import { namesOf, pathOf, select } from './files'
import { leftOut } from './where'

const files = select(namesOf('test'), [], leftOut('test:host')).map(name => pathOf('test', name))
// One more than there are processors: some tests wait for clocks.
const jobs = String(availableParallelism() + 1)
const { status } = spawnSync(join(ROOT, 'node_modules/.bin/tap'), ['--jobs', jobs, ...process.argv.slice(2), ...files], { cwd: ROOT, stdio: 'inherit' })
process.exitCode = status ?? 1
