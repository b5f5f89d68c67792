import t from 'tap'
import { ROOT } from '../support/node'
import { run } from '../vm/run'

t.test('the public declarations are what their tests say', async t => {
  const output = await run('npx', ['tstyche', 'types'], { cwd: ROOT })
  t.match(output, /Test files: .*1 passed/)
})
