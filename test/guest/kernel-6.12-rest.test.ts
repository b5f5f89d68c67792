import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { KERNEL_TESTS, LEFT_OUT, everyOtherTest, runSuite } from './suite'

t.test('Linux 6.12', async t => {
  await runSuite(t, 'the kernel tests between, on Node 20', { kernel: '6.12', node: await nodeBinary(20), script: everyOtherTest('2/2', LEFT_OUT['6.12']) })
  await runSuite(t, 'versions and ciphers, on Node 24', { kernel: '6.12', node: await nodeBinary(24), script: [KERNEL_TESTS, 'ciphers'] })
})
