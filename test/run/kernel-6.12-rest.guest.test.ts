import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { BACKEND_TESTS, at, runSuite } from './guest'

t.test('Linux 6.12', async t => {
  await runSuite(t, 'the kernel tests between, on Node 20', { kernel: '6.12', node: await nodeBinary(20), script: [BACKEND_TESTS, ...at('linux-6.12'), '--part', '2/2'] })
})
