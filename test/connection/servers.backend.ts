import dns from 'node:dns'
import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { TLSSocket, createSecureContext } from 'node:tls'
import t from 'tap'
import { certificate } from '../certificate'
import { SECURE, statsOf } from '../support/backend'
import { makeFile, makeFolder, sha256 } from '../support/files'
import type { TestFile } from '../support/files'
import { countPromotions } from '../support/kernel'
import { request } from '../support/request'
import { SCHEME } from '../support/server'
import { serveFolder } from '../support/static'

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const OFFLOADED = { path: 'file', reason: null, offloaded: true }

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
  const before = countPromotions()
  t.equal(app.addresses().length, 2)
  for (const { address } of addresses) {
    t.equal((await request(`${SCHEME}://${address}:${port}/${file.name}`)).sha256, file.sha256, address)
    t.match(await decisions(1), [OFFLOADED])
  }
  t.match(statsOf(app).connections, { seen: 2, promoted: 2 })
  t.equal(countPromotions() - before, 2)
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
  const before = countPromotions()
  const ROUNDS = 3
  const wrong: TestFile[] = []
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(servers.flatMap(({ origin }) => files.map(async file => {
      if ((await request(`${origin}/${file.name}`)).sha256 !== file.sha256) wrong.push(file)
    })))
  }
  t.strictSame(wrong, [])
  const count = ROUNDS * files.length
  for (const { decisions, app } of servers.slice(0, 2)) {
    t.match(await decisions(count), Array(count).fill(OFFLOADED))
    t.match(statsOf(app).connections, { seen: count, promoted: count })
  }
  t.equal(countPromotions() - before, 2 * count)
  const bodies = (await Promise.all(outgoing)).map(({ body }) => body.toString())
  t.strictSame(bodies, Array(count * 6).fill('elsewhere'))
  for (const socket of others) socket.destroy()
})

// Without TLS there is no such thing.
if (SECURE) {
  t.test('HTTP/2, and HTTP/1.1 on the same server', async t => {
    const { app, origin, decisions } = await serveFolder(t, folder, {
      ktls: {},
      http2: true,
      setup: app => { app.get('/json', async () => ({})) }
    })
    const before = countPromotions()
    const session = http2.connect(origin, { rejectUnauthorized: false })
    const overHttp2 = async () => {
      for (const [path, expected] of [[`/${file.name}`, file.sha256], ['/json', sha256('{}')]] as const) {
        const body = await buffer(session.request({ ':path': path }).end() as Readable)
        t.equal(sha256(body), expected)
        t.match(await decisions(1), [{ path: 'node', reason: 'http2', version: 'TLSv1.3' }])
      }
    }
    await overHttp2()
    t.equal(countPromotions() - before, 0)
    t.equal((await request(`${origin}/${file.name}`)).sha256, file.sha256)
    t.match(await decisions(1), [OFFLOADED])
    await overHttp2()
    session.close()
    t.match(statsOf(app).connections, { seen: 2, promoted: 1 })
    t.equal(countPromotions() - before, 1)
  })
}
