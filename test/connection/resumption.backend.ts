import { connect } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import t from 'tap'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { countPromotions } from '../support/kernel'
import { serveFolder } from '../support/static'

interface Exchange {
  readonly reused: boolean
  /** Absent where a resumed connection got no new ticket. */
  readonly session: Buffer | undefined
  readonly sha256: string
}

/** Sends a request without waiting for the handshake, so that it rides with the client's Finished. */
async function exchange (port: number, path: string, options: ConnectionOptions): Promise<Exchange> {
  const socket: TLSSocket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
  let session: Buffer | undefined
  socket.on('session', ticket => { session = ticket })
  let reused = false
  socket.once('secureConnect', () => { reused = socket.isSessionReused() })
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  const reply = Buffer.concat(chunks)
  return { reused, session, sha256: sha256(reply.subarray(reply.indexOf('\r\n\r\n') + 4)) }
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  t.test(`${version} sessions resume onto offloaded connections, the request with the client's Finished`, async t => {
    const folder = makeFolder(t)
    const file = makeFile(folder, 400_000)
    const { port, decisions } = await serveFolder(t, folder, { ktls: {} })
    const before = countPromotions()
    const versions = { minVersion: version, maxVersion: version }
    const first = await exchange(port, `/${file.name}`, versions)
    t.equal(first.sha256, file.sha256)
    t.equal(first.reused, false)
    const second = await exchange(port, `/${file.name}`, { ...versions, session: first.session! })
    t.equal(second.sha256, file.sha256)
    t.equal(second.reused, true)
    t.equal(countPromotions() - before, 2)
    t.match(await decisions(2), [{ path: 'file', version }, { path: 'file', version }])
  })
}
