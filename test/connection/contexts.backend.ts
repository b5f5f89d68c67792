import https from 'node:https'
import { createSecureContext } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { certificate, makeCertificate } from '../certificate'
import type { Certificate } from '../certificate'
import { statsOf } from '../support/backend'
import { get, open, readReply, receive, send } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { countPromotions } from '../support/kernel'
import { request } from '../support/request'
import { serveFolder } from '../support/static'

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const OFFLOADED = { path: 'file', reason: null, offloaded: true }

let own: Certificate
let other: Certificate
let late: Certificate
t.before(async () => {
  [own, other, late] = [await certificate(), await makeCertificate('other.test'), await makeCertificate('late.test')]
})

/** Downloads the file with a client that accepts only this certificate. */
function fetchAs (origin: string, servername: string, cert: string, options: https.RequestOptions = {}) {
  return request(`${origin}/${file.name}`, { servername, ca: cert, rejectUnauthorized: true, ...options })
}

t.test("listeners for 'keylog' get every line", async t => {
  const { app, origin, decisions } = await serveFolder(t, folder, { ktls: {} })
  const before = countPromotions()
  const seen: string[] = []
  const listen = () => app.server.on('keylog', line => seen.push(line.toString()))
  for (const [when, expected] of [['nobody listens yet', 0], ['one listens', 1], ['two listen', 2]] as const) {
    if (expected > 0) listen()
    seen.length = 0
    const agent = new https.Agent()
    const lines: string[] = []
    agent.on('keylog', line => lines.push(line.toString()))
    t.equal((await request(`${origin}/${file.name}`, { agent })).sha256, file.sha256, when)
    t.match(await decisions(1), [OFFLOADED])
    t.equal(lines.length, 5, 'what the client itself knows')
    t.strictSame(seen.sort(), lines.flatMap(line => Array<string>(expected).fill(line)).sort(), when)
    agent.destroy()
  }
  t.equal(countPromotions() - before, 3)
})

t.test('a context chosen by the name that the client asks for', async t => {
  const added = await serveFolder(t, folder, { ktls: {} })
  ;(added.app.server as https.Server).addContext('other.test', other)
  const called = await serveFolder(t, folder, {
    ktls: {},
    tls: {
      SNICallback: (name, callback) => {
        // Not in the turn of the event loop that the handshake began in.
        setImmediate(() => callback(null, createSecureContext(name === 'late.test' ? late : own)))
      }
    }
  })
  const before = countPromotions()
  for (const [{ origin, decisions }, name, { cert }] of [
    [added, 'other.test', other],
    [added, 'localhost', own],
    [added, 'other.test', other],
    [called, 'late.test', late],
    [called, 'localhost', own],
    [called, 'late.test', late]
  ] as const) {
    t.equal((await fetchAs(origin, name, cert)).sha256, file.sha256, name)
    t.match(await decisions(1), [OFFLOADED])
  }
  for (const { app } of [added, called]) t.match(statsOf(app).connections, { seen: 3, promoted: 3 })
  t.equal(countPromotions() - before, 6)
})

// Node then chooses the context between the two, and OpenSSL changes over at the second.
t.test('a context chosen by name for a client that has to send two hellos', async t => {
  const { app, origin, decisions } = await serveFolder(t, folder, { ktls: {}, tls: { ecdhCurve: 'X25519' } })
  ;(app.server as https.Server).addContext('other.test', { ...other, ecdhCurve: 'X25519' })
  const before = countPromotions()
  // The client has a key for the first group alone, and is asked for the second (RFC 8446 4.1.4).
  t.equal((await fetchAs(origin, 'other.test', other.cert, { ecdhCurve: 'P-256:X25519' })).sha256, file.sha256)
  t.match(await decisions(1), [OFFLOADED])
  t.equal(countPromotions() - before, 1)
})

t.test('a certificate that is replaced while the server runs', async t => {
  const { app, port, origin, decisions } = await serveFolder(t, folder, { ktls: {} })
  const before = countPromotions()
  const staying = await get(port, `/${file.name}`)
  const waiting = await open(port)
  t.equal((await readReply(staying)).sha256, file.sha256)
  t.equal((await fetchAs(origin, 'localhost', own.cert)).sha256, file.sha256)
  ;(app.server as https.Server).setSecureContext(late)
  t.equal((await fetchAs(origin, 'late.test', late.cert)).sha256, file.sha256)
  for (const [client, when] of [[staying, 'a connection promoted before'], [waiting, 'one promoted afterwards']] as const) {
    send(client, `GET /${file.name} HTTP/1.1`, 'Host: localhost', 'Connection: close')
    const { sha256, clean } = await receive(client)
    t.equal(sha256, file.sha256, when)
    t.ok(clean)
  }
  t.match(await decisions(5), Array(5).fill(OFFLOADED))
  t.match(statsOf(app).connections, { seen: 4, promoted: 4 })
  t.equal(countPromotions() - before, 4)
})

t.test('client certificates', async t => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const rejectUnauthorized of [true, false]) {
      await t.test(`${version}, the others are ${rejectUnauthorized ? 'rejected' : 'served'}`, async t => {
        const { app, origin, decisions } = await serveFolder(t, folder, {
          ktls: {},
          tls: { minVersion: version, maxVersion: version, requestCert: true, rejectUnauthorized, ca: other.cert },
          setup: app => {
            app.get('/peer', async request => {
              const socket = request.raw.socket as TLSSocket
              return { name: socket.getPeerCertificate().subject?.CN, authorized: socket.authorized, error: socket.authorizationError }
            })
          }
        })
        const before = countPromotions()
        const clients = [
          { certificate: other, peer: { name: 'other.test', authorized: true, error: null } },
          { certificate: late, peer: { name: 'late.test', authorized: false, error: 'DEPTH_ZERO_SELF_SIGNED_CERT' } },
          { certificate: undefined, peer: { authorized: false, error: 'UNABLE_TO_GET_ISSUER_CERT' } }
        ]
        let served = 0
        for (const { certificate, peer } of clients) {
          const agent = new https.Agent({ keepAlive: true, maxSockets: 1 })
          const get = (path: string) => request(origin + path, { agent, ...certificate })
          if (rejectUnauthorized && !peer.authorized) {
            await t.rejects(get(`/${file.name}`))
            continue
          }
          served++
          t.equal((await get(`/${file.name}`)).sha256, file.sha256)
          t.strictSame(JSON.parse((await get('/peer')).body.toString()), peer)
          t.match(await decisions(2), [OFFLOADED, { path: 'write' }])
          agent.destroy()
        }
        t.equal(countPromotions() - before, served)
        t.match(statsOf(app).connections, { promoted: served })
      })
    }
  }
})

t.test('HTTP/1.1 agreed on by ALPN', async t => {
  const before = countPromotions()
  const servers = [{}, { ALPNProtocols: ['http/1.1'] }, { ALPNCallback: () => 'http/1.1' }]
  for (const tls of servers) {
    const { port, decisions } = await serveFolder(t, folder, { ktls: {}, tls })
    const client = await get(port, `/${file.name}`, ['Connection: close'], { ALPNProtocols: ['h2', 'http/1.1'] })
    t.equal(client.tls.alpnProtocol, 'http/1.1')
    t.equal((await receive(client)).sha256, file.sha256)
    t.match(await decisions(1), [OFFLOADED])
  }
  t.equal(countPromotions() - before, servers.length)
})
