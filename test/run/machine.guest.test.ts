import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { MACHINE_TESTS, at, runSuite } from './guest'

t.test('Linux 6.12', async t => {
  await runSuite(t, 'a bad network, and a bad and a slow disk, on Node 20', { kernel: '6.12', node: await nodeBinary(20), script: [MACHINE_TESTS, ...at('linux-6.12')] })
})

t.test('the newest Linux of Debian', async t => {
  await runSuite(t, 'a bad network, a bad disk and tuned TCP, on Node 24', { kernel: 'newest', node: await nodeBinary(24), script: [MACHINE_TESTS, ...at('linux-newest')] })
})
