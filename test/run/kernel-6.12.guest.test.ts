import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { AT_GUEST, BACKEND_TESTS, runSuite } from './guest'

t.test('Linux 6.12', async t => {
  await runSuite(t, 'every other kernel test, on Node 20', { kernel: '6.12', node: await nodeBinary(20), script: [BACKEND_TESTS, ...AT_GUEST, '--part', '1/2'] })
})
