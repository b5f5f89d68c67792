import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { FAULT_TESTS, runSuite } from './guest'

// The slow disk and the table take minutes, and ask the plugin more than the kernel: one has them.
t.test('Linux 6.12', async t => {
  await runSuite(t, 'a bad network, a bad disk, and each system call fails once, on Node 20', {
    kernel: '6.12', node: await nodeBinary(20), script: [FAULT_TESTS, '--calls']
  })
})

t.test('the newest Linux of Debian', async t => {
  await runSuite(t, 'a bad network, a bad disk and tuned TCP, on Node 24', { kernel: 'newest', node: await nodeBinary(24), script: [FAULT_TESTS, 'disk', 'network', 'tuning'] })
})
