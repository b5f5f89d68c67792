import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { LEFT_OUT, everyOtherTest, runSuite } from './suite'

t.test('the newest Linux of Debian', async t => {
  await runSuite(t, 'every other kernel test, on Node 24', { kernel: 'newest', node: await nodeBinary(24), script: everyOtherTest('1/2', LEFT_OUT.newest) })
})
