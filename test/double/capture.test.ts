import './install'
import dns from 'node:dns'
import { once } from 'node:events'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { TLSSocket, createSecureContext } from 'node:tls'
import t from 'tap'
import { Client } from 'undici'
import { certificate, makeCertificate } from '../certificate'
import { makeFile, makeFolder, sha256 } from '../support/files'
import type { TestFile } from '../support/files'
import { request } from '../support/request'
import { serveFolder } from '../support/static'

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const SENDFILE = { path: 'sendfile', reason: null, offloaded: true }

/** Downloads the file with a client that accepts only this certificate. */
function fetchAs (origin: string, servername: string, cert: string) {
  return request(`${origin}/${file.name}`, { servername, ca: cert, rejectUnauthorized: true })
}

t.test("listeners for 'keylog' get every line", async t => {
  const { app, origin, decisions } = await serveFolder(t, folder, { ktls: {} })
  const seen: string[] = []
  const listen = () => app.server.on('keylog', line => seen.push(line.toString()))
  for (const [when, expected] of [['nobody listens yet', 0], ['one listens', 1], ['two listen', 2]] as const) {
    if (expected > 0) listen()
    seen.length = 0
    const agent = new https.Agent()
    const lines: string[] = []
    agent.on('keylog', line => lines.push(line.toString()))
    t.equal((await request(`${origin}/${file.name}`, { agent })).sha256, file.sha256, when)
    t.match(await decisions(1), [SENDFILE])
    t.equal(lines.length, 5, 'what the client itself knows')
    t.strictSame(seen.sort(), lines.flatMap(line => Array<string>(expected).fill(line)).sort(), when)
    agent.destroy()
  }
})

t.test('a context chosen by the name that the client asks for', async t => {
  const [own, other, late] = [await certificate(), await makeCertificate('other.test'), await makeCertificate('late.test')]
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
  for (const [{ origin, decisions }, name, { cert }] of [
    [added, 'other.test', other],
    [added, 'localhost', own],
    [added, 'other.test', other],
    [called, 'late.test', late],
    [called, 'localhost', own],
    [called, 'late.test', late]
  ] as const) {
    t.equal((await fetchAs(origin, name, cert)).sha256, file.sha256, name)
    t.match(await decisions(1), [SENDFILE])
  }
  for (const { app } of [added, called]) t.match(app.ktls.stats().connections, { seen: 3, promoted: 3 })
})

t.test('a certificate that is replaced while the server runs', async t => {
  const [before, after] = [await certificate(), await makeCertificate('localhost')]
  const { app, origin, decisions } = await serveFolder(t, folder, { ktls: {} })
  const client = new Client(origin, { connect: { rejectUnauthorized: false } })
  t.teardown(() => client.close())
  const again = async () => {
    const { body } = await client.request({ path: `/${file.name}`, method: 'GET' })
    return sha256(new Uint8Array(await body.arrayBuffer()))
  }
  t.equal(await again(), file.sha256)
  t.equal((await fetchAs(origin, 'localhost', before.cert)).sha256, file.sha256)
  ;(app.server as https.Server).setSecureContext(after)
  t.equal((await fetchAs(origin, 'localhost', after.cert)).sha256, file.sha256)
  t.equal(await again(), file.sha256, 'the connection from before goes on')
  t.match(await decisions(4), [SENDFILE, SENDFILE, SENDFILE, SENDFILE])
  t.match(app.ktls.stats().connections, { seen: 3, promoted: 3 })
})

t.test('a name with two addresses: both sockets that Fastify opens', async t => {
  // As where localhost is 127.0.0.1 and ::1, which not every machine has.
  const { lookup } = dns
  const addresses = ['127.0.0.1', '127.0.0.2'].map(address => ({ address, family: 4 }))
  dns.lookup = Object.assign((name: string, options: dns.LookupOptions, callback: (error: null, result: dns.LookupAddress[]) => void) => {
    if (name === 'localhost' && options.all === true) process.nextTick(callback, null, addresses)
    else (lookup as (...rest: unknown[]) => void)(name, options, callback)
  }, lookup) as typeof lookup
  t.teardown(() => { dns.lookup = lookup })
  const { app, port, decisions } = await serveFolder(t, folder, { ktls: {}, host: 'localhost' })
  t.equal(app.addresses().length, 2)
  for (const { address } of addresses) {
    t.equal((await request(`https://${address}:${port}/${file.name}`)).sha256, file.sha256, address)
    t.match(await decisions(1), [SENDFILE])
  }
  t.match(app.ktls.stats().connections, { seen: 2, promoted: 2 })
})

t.test('several servers in one process, and other TLS that it begins while it accepts', async t => {
  const elsewhere = https.createServer(await certificate(), (_request, response) => response.end('elsewhere')).listen(0, '127.0.0.1')
  await once(elsewhere, 'listening')
  t.teardown(() => { elsewhere.close() })
  const url = `https://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`

  const files = [300_001, 300_002, 300_003].map(size => makeFile(folder, size))
  const servers = await Promise.all([{ ktls: {} }, { ktls: {} }, {}].map(options => serveFolder(t, folder, options)))
  const outgoing: Array<ReturnType<typeof request>> = []
  const others: TLSSocket[] = []
  const secureContext = createSecureContext(await certificate())
  const begin = () => {
    outgoing.push(request(url))
    // A server's side too: a session that could be taken for the connection's.
    others.push(new TLSSocket(new PassThrough(), { isServer: true, secureContext }))
  }
  for (const { app } of servers) {
    // Before and after Node's own listener makes the connection's SSL.
    app.server.prependListener('connection', begin)
    app.server.on('connection', begin)
  }
  const ROUNDS = 5
  const wrong: TestFile[] = []
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(servers.flatMap(({ origin }) => files.map(async file => {
      if ((await request(`${origin}/${file.name}`)).sha256 !== file.sha256) wrong.push(file)
    })))
  }
  t.strictSame(wrong, [])
  const count = ROUNDS * files.length
  for (const { decisions, app } of servers.slice(0, 2)) {
    t.match(await decisions(count), Array(count).fill(SENDFILE))
    t.match(app.ktls.stats().connections, { seen: count, promoted: count })
  }
  const bodies = (await Promise.all(outgoing)).map(({ body }) => body.toString())
  t.strictSame(bodies, Array(count * 6).fill('elsewhere'))
  for (const socket of others) socket.destroy()
})
