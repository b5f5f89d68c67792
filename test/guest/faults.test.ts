import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { FAULT_TABLE, FAULT_TESTS, runSuite } from './suite'

t.test('Linux 6.12', async t => {
  await runSuite(t, 'a bad network and a bad disk, on Node 20', { kernel: '6.12', node: await nodeBinary(20), script: [FAULT_TESTS] })
  await runSuite(t, 'each system call fails once, on Node 20', { kernel: '6.12', node: await nodeBinary(20), ...FAULT_TABLE })
})

t.test('the newest Linux of Debian', async t => {
  await runSuite(t, 'a bad network and a bad disk, on Node 24', { kernel: 'newest', node: await nodeBinary(24), script: [FAULT_TESTS] })
})
