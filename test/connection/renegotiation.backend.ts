import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { statsOf } from '../support/backend'
import { ask, get, open, readReply, receive } from '../support/client'
import type { RawClient } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { countPromotions } from '../support/kernel'
import type { ServerOptions, TestServer } from '../support/server'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

/** SSL_OP_ALLOW_CLIENT_RENEGOTIATION, for which Node has no name. */
const ALLOW_CLIENT_RENEGOTIATION = 1 << 8

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const OFFLOADED = { path: 'file', version: 'TLSv1.2' }

/** A server of TLS 1.2, the last version that renegotiates, and how many handshakes its application's own attempts have led to. */
async function serve (t: Tap.Test, ktls: ServerOptions['ktls'], tls: ServerOptions['tls'] = {}): Promise<TestServer & { readonly outcomes: unknown[] }> {
  const outcomes: unknown[] = []
  const renegotiate = (socket: TLSSocket) => {
    socket.renegotiate({}, error => outcomes.push(error === null ? 'renegotiated' : (error as NodeJS.ErrnoException).code))
  }
  const server = await serveFolder(t, folder, {
    ...(ktls && { ktls }),
    tls: { maxVersion: 'TLSv1.2', ...tls },
    setup: app => {
      app.get('/renegotiate', async request => {
        renegotiate(request.raw.socket as TLSSocket)
        return {}
      })
      app.get('/both', (request, reply) => {
        renegotiate(request.raw.socket as TLSSocket)
        return reply.sendFile(file.name)
      })
    }
  })
  return { ...server, outcomes }
}

async function reply (client: RawClient, path: string) {
  ask(client, path)
  return readReply(client)
}

t.test('a client that wants to renegotiate is refused', async t => {
  const { app, port, decisions } = await serve(t, {}, { secureOptions: ALLOW_CLIENT_RENEGOTIATION })
  const before = countPromotions()
  const client = await get(port, `/${file.name}`)
  t.equal((await readReply(client)).sha256, file.sha256)
  t.match(await decisions(1), [OFFLOADED])
  const refused = once(client.tls, 'error')
  client.tls.renegotiate({ rejectUnauthorized: false }, () => t.fail('renegotiated'))
  client.tls.resume()
  t.match(await refused, [{ code: 'ERR_SSL_NO_RENEGOTIATION' }])
  await until(() => statsOf(app).connections.open === 0)
  t.equal(countPromotions() - before, 1)
})

t.test('an application that renegotiates before the promotion', async t => {
  for (const ktls of [undefined, {}]) {
    const { port, outcomes } = await serve(t, ktls)
    const before = countPromotions()
    const client = await open(port)
    await reply(client, '/renegotiate')
    // The client answers while it reads.
    t.equal((await reply(client, `/${file.name}`)).sha256, file.sha256)
    await until(() => outcomes.length > 0)
    t.equal((await reply(client, `/${file.name}`)).sha256, file.sha256)
    ask(client, `/${file.name}`, ['Connection: close'])
    const last = await receive(client)
    t.equal(last.sha256, file.sha256)
    t.ok(last.clean)
    t.strictSame(outcomes, ['renegotiated'])
    t.equal(countPromotions() - before, ktls ? 1 : 0, 'under the new keys')
  }
})

t.test('a file whose turn comes while the application renegotiates', async t => {
  for (const ktls of [undefined, {}]) {
    const { port, outcomes } = await serve(t, ktls)
    const before = countPromotions()
    const client = await open(port)
    t.equal((await reply(client, '/both')).sha256, file.sha256)
    await until(() => outcomes.length > 0)
    t.strictSame(outcomes, ['renegotiated'])
    t.equal((await reply(client, `/${file.name}`)).sha256, file.sha256)
    client.tls.destroy()
    t.equal(countPromotions() - before, ktls ? 1 : 0)
  }
})

t.test('an application that wants to renegotiate after the promotion is refused, and the connection goes on', async t => {
  const { port, decisions, outcomes } = await serve(t, {})
  const before = countPromotions()
  const client = await get(port, `/${file.name}`)
  t.equal((await readReply(client)).sha256, file.sha256)
  t.equal((await reply(client, '/both')).sha256, file.sha256)
  t.strictSame(outcomes, ['ERR_SSL_NO_RENEGOTIATION'])
  ask(client, `/${file.name}`, ['Connection: close'])
  const { sha256, clean } = await receive(client)
  t.equal(sha256, file.sha256)
  t.ok(clean)
  t.match(await decisions(3), [OFFLOADED, OFFLOADED, OFFLOADED])
  t.equal(countPromotions() - before, 1)
})
