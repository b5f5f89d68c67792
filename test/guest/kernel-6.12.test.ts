import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { FAULT_TABLE, FAULT_TESTS, KERNEL_TESTS, runSuite } from './suite'

t.test('Linux 6.12', async t => {
  await runSuite(t, 'every kernel test, on Node 20', { kernel: '6.12', node: await nodeBinary(20), script: [KERNEL_TESTS] })
  await runSuite(t, 'a bad network and a bad disk, on Node 20', { kernel: '6.12', node: await nodeBinary(20), script: [FAULT_TESTS] })
  await runSuite(t, 'each system call fails once, on Node 20', { kernel: '6.12', node: await nodeBinary(20), ...FAULT_TABLE })
  await runSuite(t, 'versions and ciphers, on Node 24', { kernel: '6.12', node: await nodeBinary(24), script: [KERNEL_TESTS, 'ciphers'] })
})
