/* What becomes of transfers when their process, or their worker thread, comes to its end. */
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { get, readReply, receive, requestOf } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { nodeJson } from '../support/node'
import { request } from '../support/request'
import { startChild } from '../support/child'
import type { WorkersEnd } from './ended-workers'

/** More than the buffers of both sides hold. */
const large = makeFile(makeFolder(t), 30_000_000)

t.test('a server that closes holds its process until pipelined replies are sent', async t => {
  const { child, origin, port } = await startChild(t, { path: large.path })
  const exited = once(child, 'exit')
  const client = await get(port, '/file')
  // Both files wait for this client, and for nothing else that the event loop knows of.
  client.tls.write(requestOf('/file', ['Connection: close']))
  await once(client.tls, 'readable')
  await request(`${origin}/close`)
  await once(child, 'disconnect')
  t.equal((await readReply(client)).sha256, large.sha256)
  const { sha256, clean } = await receive(client)
  t.equal(sha256, large.sha256)
  t.ok(clean)
  t.strictSame(await exited, [0, null])
})

t.test('a worker thread that ends has its transfers cut, and nothing else', async t => {
  for (const end of ['exit', 'terminate'] as const) {
    const outcome = await nodeJson<WorkersEnd>([join(__dirname, 'ended-workers.js'), end, large.path])
    t.strictSame(outcome, { clients: outcome.clients, cut: outcome.clients, exitCodes: end === 'exit' ? [3, 3, 3] : [1, 1, 1], warnings: [] }, end)
  }
})
