import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import type { SecureVersion } from 'node:tls'
import t from 'tap'
import { AFTER_FILE, SECURE, statsOf } from '../support/backend'
import { get, receive } from '../support/client'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { countPromotions, openDescriptors } from '../support/kernel'
import { changeNetwork, networkCounter, smallPackets, spoilNetwork, tuneTcp } from '../support/network'
import { request } from '../support/request'
import { SCHEME } from '../support/server'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

const { Agent } = SECURE ? https : http

/** How the clients speak. */
const VERSIONS = SECURE ? [tls('TLSv1.2'), tls('TLSv1.3')] : [{ name: 'HTTP', options: {} }]

function tls (version: SecureVersion) {
  return { name: version, options: { minVersion: version, maxVersion: version } }
}

/** As tc-netem(8) has them, and what the kernel counts where they strike. */
const FAULTS = [
  { name: 'loses packets', netem: 'loss 5%', counter: 'Tcp.RetransSegs' },
  { name: 'reorders packets', netem: 'delay 2ms reorder 20%', counter: 'TcpExt.TCPOFOQueue' },
  { name: 'delays packets, some more and some less', netem: 'delay 10ms 8ms', counter: 'TcpExt.TCPOFOQueue' },
  { name: 'duplicates packets', netem: 'duplicate 10%', counter: 'TcpExt.TCPDSACKOldSent' },
  { name: 'corrupts packets', netem: 'corrupt 2%', counter: 'Tcp.InCsumErrors' },
  { name: 'is narrow', netem: 'rate 30mbit loss 1%', counter: 'Tcp.RetransSegs' },
  { name: 'does all of that', netem: 'delay 5ms 4ms reorder 10% loss 2% duplicate 2% corrupt 1%', counter: 'Tcp.RetransSegs' }
]

t.before(() => smallPackets(t))

for (const { name, netem, counter } of FAULTS) {
  t.test(`a network that ${name}`, async t => {
    const folder = makeFolder(t)
    const file = makeFile(folder, 2_000_001)
    const bytes = readFileSync(file.path)
    const { app, port, origin, warnings } = await serveFolder(t, folder, {
      ktls: {},
      setup: app => { app.get('/json', async () => ({ text: 'x'.repeat(20_000) })) }
    })
    const [promotions, strikes] = [countPromotions(), networkCounter(counter)]
    await spoilNetwork(t, netem)

    const toTheEnd = VERSIONS.map(async ({ name, options }) => {
      const received = await receive(await get(port, `/${file.name}`, ['Connection: close'], options))
      t.equal(received.sha256, file.sha256, `${name}, the connection's only reply`)
      t.ok(received.clean, `${name}: close_notify came`)
    })
    const oneAfterTheOther = VERSIONS.map(async ({ name, options }) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1, ...options })
      const ask = (path: string, headers = {}) => request(`${origin}${path}`, { agent, headers })
      t.equal((await ask(`/${file.name}`)).sha256, file.sha256, `${name}, the first of several`)
      for (const [first, last] of [[0, 65_536], [500_001, 1_000_000], [1_900_000, 2_000_000]] as const) {
        const part = await ask(`/${file.name}`, { range: `bytes=${first}-${last}` })
        t.equal(part.status, 206)
        t.equal(part.sha256, sha256(bytes.subarray(first, last + 1)), `${name}, bytes ${first} to ${last}`)
        t.equal((await ask('/json')).body.length, 20_011)
      }
      agent.destroy()
    })
    await Promise.all([...toTheEnd, ...oneAfterTheOther])

    t.ok(networkCounter(counter) > strikes, `${counter} grew by ${networkCounter(counter) - strikes}`)
    const connections = 2 * VERSIONS.length
    t.equal(countPromotions() - promotions, connections)
    t.equal(statsOf(app).connections.seen, connections)
    t.strictSame(statsOf(app).replies, { write: 0, node: 0, file: 5 * VERSIONS.length, [AFTER_FILE]: 3 * VERSIONS.length })
    t.strictSame(warnings, [])
  })
}

/** So slow that a transfer is still under way when silence falls. */
const SLOW = 'rate 5mbit'
const FAST = 'rate 10gbit'
const SILENT = 'loss 100%'
const RETRIES = 'Tcp.RetransSegs'

async function fallSilent (): Promise<void> {
  const before = networkCounter(RETRIES)
  await changeNetwork(SILENT)
  await until(() => networkCounter(RETRIES) > before + 2)
}

t.test('a network that is silent for a while, then for good', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 20 << 20)
  let socket: Socket | undefined
  const { app, port, decisions, warnings } = await serveFolder(t, folder, {
    ktls: {},
    setup: app => { app.addHook('onRequest', async request => { socket = request.raw.socket }) }
  })
  const [promotions, before] = [countPromotions(), openDescriptors().length]
  await spoilNetwork(t, SLOW)

  const patient = await get(port, `/${file.name}`, ['Connection: close'])
  await once(patient.tls, 'readable')
  const received = receive(patient)
  await fallSilent()
  t.ok(statsOf(app).bytes.file < file.size, 'in the middle of the transfer')
  await changeNetwork(FAST)
  const { sha256, clean } = await received
  t.equal(sha256, file.sha256)
  t.ok(clean)
  t.match(await decisions(1), [{ path: 'file' }])

  await changeNetwork(SLOW)
  const lost = await get(port, `/${file.name}`)
  await once(lost.tls, 'readable')
  lost.tls.resume()
  await fallSilent()
  // Node's own time-out for idle connections.
  socket!.setTimeout(500)
  t.match(await decisions(1), [{ path: 'file' }])
  await until(() => statsOf(app).connections.open === 0)
  t.ok(statsOf(app).bytes.file < 2 * file.size)
  lost.tls.destroy()
  await until(() => openDescriptors().length <= before)
  t.strictSame(warnings, [])
  t.equal(countPromotions() - promotions, 2)
})

t.test('IPv6', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 300_000)
  const { port, decisions } = await serveFolder(t, folder, { ktls: {}, host: '::1' })
  const promotions = countPromotions()
  t.equal((await request(`${SCHEME}://[::1]:${port}/${file.name}`)).sha256, file.sha256)
  t.match(await decisions(1), [{ path: 'file' }])
  t.equal(countPromotions() - promotions, 1)
})

t.test('a send buffer that is smaller than a record', async t => {
  // Least, usual, most; for connections from now on.
  tuneTcp(t, 'tcp_wmem', '4096 4096 4096')
  const folder = makeFolder(t)
  const file = makeFile(folder, 3_000_001)
  for (const { name, options } of VERSIONS) {
    const { app, port, decisions } = await serveFolder(t, folder, { ktls: {} })
    const promotions = countPromotions()
    const client = await get(port, `/${file.name}`, ['Connection: close'], options)
    await once(client.tls, 'readable')
    await until(() => statsOf(app).bytes.file > 0)
    const { sha256, clean } = await receive(client)
    t.equal(sha256, file.sha256, name)
    t.ok(clean)
    t.match(await decisions(1), [{ path: 'file' }])
    t.equal(countPromotions() - promotions, 1)
  }
})
