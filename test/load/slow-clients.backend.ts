import t from 'tap'
import { boundOf, slowClients } from '../support/slow-clients'

t.test('what 100 slow clients cost the server', async t => {
  const { inUse, resident } = await slowClients(t, { connections: 100, size: 1 << 20 })
  t.ok(inUse <= boundOf(100), `${inUse} bytes in use, ${resident} resident`)
})
