import { join } from 'node:path'
import t from 'tap'
import { nodeBinary } from '../vm/node-versions'
import { runSuite } from './suite'

t.test('a kernel without the module tls', async t => {
  for (const [name, script] of [['the fallback', 'ordinary.js'], ['the doctor', 'doctor.js']] as const) {
    await runSuite(t, name, {
      kernel: '6.12',
      node: await nodeBinary(20),
      script: [join(__dirname, '../fallback', script)],
      withholdTls: true
    })
  }
})
