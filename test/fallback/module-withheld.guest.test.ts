import t from 'tap'
import { NO_KTLS_TESTS, runSuite } from '../run/guest'
import { nodeBinary } from '../vm/node-versions'

t.test('a kernel without the module tls', async t => {
  await runSuite(t, 'the fallback and the doctor', {
    kernel: '6.12',
    node: await nodeBinary(20),
    script: [NO_KTLS_TESTS],
    withholdTls: true
  })
})
