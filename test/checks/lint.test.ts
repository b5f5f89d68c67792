import t from 'tap'
import { ROOT } from '../support/node'
import { run } from '../vm/run'

t.test('the code keeps to its style', async t => {
  await t.resolves(run('npm', ['run', '--silent', 'lint'], { cwd: ROOT }))
})
