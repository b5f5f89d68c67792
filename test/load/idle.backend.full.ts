import t from 'tap'
import { connectCrowd, ended, serveCrowd } from '../support/crowd'
import { makeFile, makeFolder } from '../support/files'

/** Each has two descriptors; more than 20,000 many systems give to nobody. */
const CONNECTIONS = 9000
const DESCRIPTORS = 2 * CONNECTIONS + 1000
/** What Node and the threads allocate once comes with these. */
const FIRST = 500

const folder = makeFolder(t)
const file = makeFile(folder, 100_000)

/** Bytes that the server holds for each connection that has downloaded a file and asks for nothing. */
async function costOfIdle (t: Tap.Test, kind: 'plugin' | 'without'): Promise<number> {
  const server = await serveCrowd(t, folder, DESCRIPTORS, kind)
  const clients = await connectCrowd(t, server.port, FIRST, file)
  const { memory: before } = await ended(server, FIRST)
  clients.push(...await connectCrowd(t, server.port, CONNECTIONS - FIRST, file))
  const { memory, promoted, offloaded } = await ended(server, CONNECTIONS)
  if (kind === 'plugin') t.strictSame({ promoted, offloaded }, { promoted: CONNECTIONS, offloaded: CONNECTIONS })
  for (const tls of clients) tls.destroy()
  return (memory.native + memory.heap - before.native - before.heap) / (CONNECTIONS - FIRST)
}

t.test('what 9,000 idle promoted connections cost the server', async t => {
  const [promoted, without] = [await costOfIdle(t, 'plugin'), await costOfIdle(t, 'without')]
  t.ok(promoted - without <= 24 << 10, `${Math.round(promoted)} bytes each, without the plugin ${Math.round(without)}`)
})
