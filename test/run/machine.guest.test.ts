import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { MACHINE_TESTS, runSuite } from './guest'

t.test('Linux 6.12', async t => {
  await runSuite(t, 'a bad network, a bad and a slow disk, and tuned TCP, on Node 20', { kernel: '6.12', node: await nodeBinary(20), script: [MACHINE_TESTS] })
})
