import './install'
import { join } from 'node:path'
import t from 'tap'
import { loadBinding } from '../../lib/binding'

t.test('the library gets the double', async t => {
  const result = loadBinding()
  t.ok('binding' in result)
  if (!('binding' in result)) return
  t.equal(result.binding, require(join(__dirname, '../../../native/build/Release/fastify_ktls_double.node')))
  t.match(result.binding.probe(), { error: 0, tls12: [0, 0, 0], tls13: [0, 0, 0] })
})
