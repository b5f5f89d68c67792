import { join } from 'node:path'
import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { runSuite } from '../run/guest'

t.test('a kernel without the module tls', async t => {
  await runSuite(t, 'the fallback and the doctor', {
    kernel: '6.12',
    node: await nodeBinary(20),
    script: [join(__dirname, '../run/no-ktls.js')],
    withholdTls: true
  })
})
