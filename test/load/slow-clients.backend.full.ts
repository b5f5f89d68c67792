import t from 'tap'
import { boundOf, slowClients } from '../support/slow-clients'

t.test('what 1,000 slow clients cost the server', async t => {
  const { inUse, resident } = await slowClients(t, { connections: 1000, size: 10_000_000 })
  t.ok(inUse <= boundOf(1000), `${inUse} bytes in use, ${resident} resident`)
})
