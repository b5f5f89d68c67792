import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { BACKEND_TESTS, at, runSuite } from './guest'

t.test('the newest Linux of Debian', async t => {
  await runSuite(t, 'the kernel tests, on Node 24', { kernel: 'newest', node: await nodeBinary(24), script: [BACKEND_TESTS, ...at('linux-newest')] })
})
