import t from 'tap'
import { ROOT } from '../support/node'
import { run } from '../vm/run'

/** The oldest and the newest TypeScript that a release of Fastify 5 is itself tested with: 5.0.0, and the present one. */
const VERSIONS = '5.4 || 6.0'

t.test('the public declarations are what their tests say', async t => {
  // The one of the two that is not installed comes from where npm has the others from.
  const registry = (await run('npm', ['config', 'get', 'registry'])).trim()
  const output = await run('npx', ['tstyche', 'types', '--target', VERSIONS], { cwd: ROOT, env: { ...process.env, TSTYCHE_NPM_REGISTRY: registry } })
  t.match(output, /Targets: .*2 passed.*2 total/)
  t.match(output, /Test files: .*8 passed/)
})
