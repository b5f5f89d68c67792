import { once } from 'node:events'
import { truncateSync } from 'node:fs'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import t from 'tap'
import { BACKEND, SECURE, canRekey, statsOf } from '../support/backend'
import { get, receive } from '../support/client'
import { listen } from '../support/events'
import type { Heard } from '../support/events'
import { makeFile, makeFolder } from '../support/files'
import { connectRecords } from '../support/record-client'
import { request } from '../support/request'
import { keepAllBuffersSmall } from '../support/sockets'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

/** More than the buffers of a connection hold where they are kept small. */
const BIG = 4 << 20
const DEBUG = 20
const WARN = 40

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const small = makeFile(folder, 1000)

const names = (heard: readonly Heard[]) => heard.map(({ event }) => event)

t.test('a promotion, a transfer from its start to its end, a fallback', async t => {
  const heard = listen(t)
  const { origin, decisions } = await serveFolder(t, folder, { ktls: {} })
  t.equal((await request(`${origin}/${file.name}`, { headers: { range: 'bytes=5-299999' } })).body.length, 299_995)
  const [decision] = await decisions(1)
  t.strictSame(names(heard), ['connection.promoted', 'transfer.started', 'transfer.finished'])
  const [promoted, started, finished] = heard.map(({ message }) => message)
  t.strictSame([promoted!.backend, promoted!.version, promoted!.cipher], [BACKEND, decision!.version, decision!.cipher])
  t.equal(promoted!.socket instanceof TLSSocket, SECURE)
  for (const message of [started!, finished!]) {
    t.equal(message.socket, promoted!.socket)
    t.equal(message.request!.url, `/${file.name}`)
    t.strictSame(Object.keys(message).sort(), ['backend', 'length', 'offset', 'request', 'socket'])
    t.strictSame([message.backend, message.offset, message.length], [BACKEND, 5, 299_995])
  }

  heard.length = 0
  t.equal((await request(`${origin}/${small.name}`)).sha256, small.sha256)
  await decisions(1)
  t.strictSame(names(heard), ['reply.fallback'])
  const [{ message: { path, reason, request: about } }] = heard as [Heard]
  t.strictSame([path, reason, about!.url], ['node', 'too-small', `/${small.name}`])
})

t.test('transfers that follow each other on one connection', async t => {
  const heard = listen(t)
  const { port, decisions } = await serveFolder(t, folder, { ktls: {} })
  const client = await get(port, `/${file.name}`, ['', `GET /${file.name} HTTP/1.1`, 'Host: localhost', 'Connection: close'])
  t.ok((await receive(client)).clean)
  await decisions(2)
  t.strictSame(names(heard), ['connection.promoted', 'transfer.started', 'transfer.finished', 'transfer.started', 'transfer.finished'])
})

t.test('a client that leaves', async t => {
  keepAllBuffersSmall(t)
  const big = makeFile(makeFolder(t), BIG)
  const heard = listen(t)
  const { app, port, decisions } = await serveFolder(t, big.path.replace(/\/[^/]*$/, ''), { ktls: {} })
  const client = await get(port, `/${big.name}`, ['Range: bytes=1-'])
  await once(client.tls, 'data')
  client.tcp.resetAndDestroy()
  await decisions(1)
  await until(() => statsOf(app).connections.open === 0)
  t.strictSame(names(heard), ['connection.promoted', 'transfer.started', 'transfer.aborted'])
  const { sent, offset, length, request: about } = heard[2]!.message
  t.strictSame([offset, length, about!.url], [1, BIG - 1, `/${big.name}`])
  // Without what a call under way had taken when the connection ended.
  t.ok(sent! >= 0 && sent! <= statsOf(app).bytes.file && sent! < length!, `${sent} bytes`)
})

t.test('a client that ends its side and leaves then, which the kernel does not call an error', async t => {
  keepAllBuffersSmall(t)
  const big = makeFile(makeFolder(t), BIG)
  const heard = listen(t)
  const { app, port, decisions } = await serveFolder(t, big.path.replace(/\/[^/]*$/, ''), { ktls: {} })
  const ended = new Promise(resolve => { app.server.on(SECURE ? 'secureConnection' : 'connection', (socket: Socket) => socket.once('end', resolve)) })
  const client = await get(port, `/${big.name}`)
  await once(client.tls, 'data')
  client.tls.pause()
  client.tcp.end()
  await ended
  client.tcp.resetAndDestroy()
  await decisions(1)
  await until(() => statsOf(app).connections.open === 0)
  t.strictSame(names(heard), ['connection.promoted', 'transfer.started', 'transfer.aborted'])
  t.match(heard[2]!.message.error, { code: 'EPIPE' })
  t.ok(heard[2]!.message.sent! < BIG, `${heard[2]!.message.sent} bytes`)
})

t.test('a file that becomes shorter, after a whole one on the same connection', async t => {
  keepAllBuffersSmall(t)
  const folder = makeFolder(t)
  const [whole, big] = [makeFile(folder, 100_000), makeFile(folder, BIG)]
  const heard = listen(t)
  const { app, port } = await serveFolder(t, folder, { ktls: {} })
  const client = await get(port, `/${whole.name}`, ['', `GET /${big.name} HTTP/1.1`, 'Host: localhost'])
  client.tls.resume()
  await until(() => names(heard).filter(name => name === 'transfer.started').length === 2)
  client.tls.pause()
  truncateSync(big.path, 1 << 20)
  await receive(client)
  await until(() => statsOf(app).connections.open === 0)
  t.equal(heard.at(-1)!.event, 'transfer.aborted')
  const { sent, error } = heard.at(-1)!.message
  t.match(error, { code: 'FST_KTLS_FILE_TRUNCATED' })
  t.equal(sent, statsOf(app).bytes.file - whole.size)
})

// Without TLS there is no such thing.
if (SECURE) {
  t.test('a change of keys, or an end for want of one', async t => {
    const heard = listen(t)
    const { app, port, warnings } = await serveFolder(t, folder, { ktls: {} })
    const clients = [await connectRecords(port), await connectRecords(port)]
    for (const client of clients) {
      client.get(`/${file.name}`)
      t.equal((await client.reply()).sha256, file.sha256)
      client.updateKey(true)
      await client.until(() => client.keyUpdates === 1 || client.ended)
    }
    const rekey = canRekey(app)
    const { updated, usedUp } = statsOf(app).keys
    if (rekey) await until(() => statsOf(app).keys.updated === 2)
    else t.strictSame([updated, usedUp], [0, 2])
    const about = heard.filter(({ event }) => event === 'connection.rekeyed').map(({ message }) => message.socket)
    const promoted = heard.filter(({ event }) => event === 'connection.promoted').map(({ message }) => message.socket)
    t.strictSame(about.length, rekey ? 2 : 0)
    for (const [index, socket] of about.entries()) t.equal(socket, promoted[index])
    t.strictSame(warnings.map(({ msg }) => msg), rekey ? [] : ['fastify-ktls: a connection ends because its transmit key is due for a change, which this kernel cannot make; Linux 6.14 can, with TLS 1.3'], 'said once')
  })
}

t.test('a line of level debug for each decision', async t => {
  const { origin, decisions, log } = await serveFolder(t, folder, { ktls: {}, logLevel: 'debug' })
  const ours = () => log.filter(({ msg }) => String(msg).startsWith('fastify-ktls'))
  for (const { name } of [file, small]) await request(`${origin}/${name}`)
  const made = await decisions(2)
  const [promotion, ...paths] = ours()
  t.match(promotion, { level: DEBUG, msg: 'fastify-ktls: a connection is promoted', ktls: { backend: BACKEND, remoteAddress: '127.0.0.1', remotePort: Number } })
  t.strictSame(paths.map(({ level, ktls, msg }) => ({ level, ktls, msg })), made.map(({ url, ...ktls }) => ({ level: DEBUG, ktls, msg: 'fastify-ktls: the path of a reply' })))
  t.match(paths, [{ reqId: 'req-1' }, { reqId: 'req-2' }], 'the line is the request\'s')
  t.notOk(ours().some(({ level }) => Number(level) >= WARN))
})
