import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { KERNEL_TESTS, LEFT_OUT, everyOtherTest, runSuite } from './suite'

t.test('the newest Linux of Debian', async t => {
  await runSuite(t, 'the kernel tests between, on Node 24', { kernel: 'newest', node: await nodeBinary(24), script: everyOtherTest('2/2', LEFT_OUT.newest) })
  await runSuite(t, 'versions and ciphers, on Node 20', { kernel: 'newest', node: await nodeBinary(20), script: [KERNEL_TESTS, 'ciphers'] })
})
