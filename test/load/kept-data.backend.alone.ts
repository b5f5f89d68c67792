/* The memory of large data that a client has yet to take: once, and for as long as the client is there. */
import t from 'tap'
import { statsOf } from '../support/backend'
import { ask, get, readReply } from '../support/client'
import { startServer } from '../support/server'
import { until } from '../support/wait'

/** Enough for a sender. */
const SOME = 131_073
/** More than the buffers of both ends of a connection take. */
const MUCH = 12 << 20
const CLIENTS = 4

function memory (): number {
  gc!()
  return process.memoryUsage().arrayBuffers
}

t.test('a client that leaves, and the memory that was kept for it', async t => {
  const { app, port } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/first', async () => Buffer.alloc(SOME))
      app.get('/', async () => Buffer.alloc(MUCH, 1))
    }
  })
  const before = memory()
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => get(port, '/first')))
  for (const client of clients) {
    await readReply(client)
    ask(client, '/')
  }
  // Each once.
  await until(() => {
    const kept = memory() - before
    return statsOf(app).connections.open === CLIENTS && kept >= CLIENTS * MUCH && kept < CLIENTS * MUCH + (8 << 20)
  })
  for (const { tcp } of clients) tcp.resetAndDestroy()
  await until(() => statsOf(app).connections.open === 0)
  await until(() => memory() - before < MUCH)
})
