import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { LEFT_OUT, kernelTests, runSuite } from './guest'

t.test('Linux 6.12', async t => {
  await runSuite(t, 'every other kernel test, on Node 20', { kernel: '6.12', node: await nodeBinary(20), script: kernelTests(LEFT_OUT['6.12'], '1/2') })
})
