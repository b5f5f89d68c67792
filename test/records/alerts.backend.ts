import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { statsOf } from '../support/backend'
import { get } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { countPromotions } from '../support/kernel'
import { connectRecords, CONTENT } from '../support/record-client'
import type { RecordClient } from '../support/record-client'
import type { ServerOptions } from '../support/server'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

const FATAL = 2

const folder = makeFolder(t)
const file = makeFile(folder, 200_000)
const large = makeFile(folder, 30 << 20)
/** As much, which a server has in memory. */
const data = Buffer.alloc(30 << 20, 'data')
/** Each more than the event loop seals itself. */
const WRITE = 140_000

const TRANSFERS = { 'of a file': `/${large.name}`, 'of data': '/data', 'of many writes': '/writes' } as const
type Transfer = keyof typeof TRANSFERS

/** What a client can do wrong, and the fatal alert that it has to get (RFC 8446 6.2). */
const WRONGS: Record<string, [number, (client: RecordClient) => void]> = {
  'a wrong tag': [20, client => client.sendCorrupt()],
  'a second Finished': [10, client => client.send(CONTENT.handshake, Buffer.concat([Buffer.from([20, 0, 0, 48]), Buffer.alloc(48)]))],
  'an unknown type of record': [10, client => client.send(99, Buffer.from('x'))],
  'a KeyUpdate and more in one record': [10, client => client.send(CONTENT.handshake, Buffer.from([24, 0, 0, 1, 0, 24, 0, 0, 1, 0]))],
  'a KeyUpdate without content': [50, client => client.send(CONTENT.handshake, Buffer.from([24, 0, 0, 0]))],
  'a KeyUpdate of an unknown kind': [47, client => client.send(CONTENT.handshake, Buffer.from([24, 0, 0, 1, 7]))],
  'a record of more than 16 KiB': [22, client => client.send(CONTENT.data, Buffer.alloc(16_385))]
}

/** What client and server see of one mistake on a connection that has had a reply. */
async function make (t: Tap.Test, wrong: (client: RecordClient) => void, options: Pick<ServerOptions, 'ktls'> & { transfer: Transfer | undefined }) {
  const events: string[] = []
  const sockets: TLSSocket[] = []
  const { app, port } = await serveFolder(t, folder, {
    ...options,
    setup: app => {
      app.get('/data', async () => data)
      app.get('/writes', (_request, reply) => {
        reply.hijack().raw.writeHead(200, { 'content-length': data.length })
        for (let at = 0; at < data.length; at += WRITE) reply.raw.write(data.subarray(at, at + WRITE))
        reply.raw.end()
      })
      app.server.on('secureConnection', (socket: TLSSocket) => {
        sockets.push(socket)
        socket.on('error', (error: NodeJS.ErrnoException) => events.push(`error ${error.code}`))
        socket.on('close', hadError => events.push(`close ${hadError}`))
      })
      app.server.on('clientError', (error: NodeJS.ErrnoException) => events.push(`clientError ${error.code}`))
    }
  })
  const before = countPromotions()
  const client = await connectRecords(port)
  client.get(`/${file.name}`)
  t.equal((await client.reply()).sha256, file.sha256)
  t.equal(countPromotions() - before, options.ktls === undefined ? 0 : 1)
  if (options.transfer !== undefined) {
    client.tcp.pause()
    const sent = () => statsOf(app).bytes.file + statsOf(app).bytes.write
    const before = options.ktls === undefined ? 0 : sent()
    client.get(TRANSFERS[options.transfer])
    await once(app.server, 'request')
    if (options.ktls !== undefined) await until(() => sent() > before + 200_000)
  }
  wrong(client)
  const socket = sockets[0]!
  // once() would reject at its error.
  await new Promise<void>(resolve => socket.closed ? resolve() : socket.once('close', () => resolve()))
  client.tcp.resume()
  await client.until(() => client.ended)
  return { alerts: client.alerts, events }
}

for (const transfer of [undefined, 'of a file', 'of data', 'of many writes'] as const) {
  t.test(transfer === undefined ? 'mistakes of a client between replies' : `mistakes of a client during a transfer ${transfer}`, async t => {
    for (const [name, [alert, wrong]] of Object.entries(WRONGS)) {
      await t.test(name, async t => {
        const without = await make(t, wrong, { transfer })
        const withKernel = await make(t, wrong, { ktls: {}, transfer })
        t.strictSame(withKernel.alerts, [[FATAL, alert]])
        // Node's own does not come through a full send buffer.
        if (transfer === undefined) t.strictSame(without.alerts, withKernel.alerts, 'as without the plugin')
        t.strictSame(withKernel.events, without.events, 'the server is told the same')
      })
    }
  })
}

t.test('TLS 1.2: a wrong tag', async t => {
  const { port } = await serveFolder(t, folder, { ktls: {}, tls: { maxVersion: 'TLSv1.2' } })
  const before = countPromotions()
  const { tls, tcp } = await get(port, `/${file.name}`)
  await once(tls, 'data')
  t.equal(countPromotions(), before + 1)
  tls.resume()
  tcp.write(Buffer.concat([Buffer.from([23, 3, 3, 0, 40]), Buffer.alloc(40)]))
  const [error] = await once(tls, 'error')
  t.match(error.code, /ALERT_BAD_RECORD_MAC$/)
})
