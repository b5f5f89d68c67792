import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { sha256 } from './files'
import { RecordWatch } from './records'

export interface RawClient {
  readonly tls: TLSSocket
  /** The TCP connection below, for a reset. */
  readonly tcp: Socket
  readonly records: RecordWatch
}

/** A TLS client that has sent `GET path` and reads nothing by itself. */
export async function get (port: number, path: string, headers: readonly string[] = [], options: ConnectionOptions = {}): Promise<RawClient> {
  const tcp = connectTcp(port, '127.0.0.1')
  const records = new RecordWatch()
  const tls = connectTls({ socket: watched(tcp, records), rejectUnauthorized: false, ...options })
  tls.on('error', () => {})
  await once(tls, 'secureConnect')
  tls.write(['GET ' + path + ' HTTP/1.1', 'Host: localhost', ...headers, '', ''].join('\r\n'))
  return { tls, tcp, records }
}

/** The TCP connection as a stream that shows what passes; Node's TLS hides the socket it is given. */
function watched (tcp: Socket, records: RecordWatch): Duplex {
  const stream = new Duplex({
    read: () => { tcp.resume() },
    write: (chunk, _encoding, callback) => { tcp.write(chunk, callback) },
    final: callback => { tcp.end(callback) },
    destroy: (error, callback) => {
      tcp.destroy()
      callback(error)
    }
  })
  tcp.on('data', bytes => {
    records.see(bytes)
    if (!stream.push(bytes)) tcp.pause()
  })
  tcp.on('end', () => stream.push(null))
  tcp.on('error', error => stream.destroy(error))
  tcp.on('close', () => stream.destroy())
  return stream
}

export interface Received {
  readonly head: string
  readonly body: Buffer
  readonly size: number
  readonly sha256: string
  /** Whether the connection ended by a close_notify. */
  readonly clean: boolean
}

/** Reads to the end of the connection. */
export async function receive ({ tls, records }: RawClient): Promise<Received> {
  const chunks: Buffer[] = []
  tls.on('data', chunk => chunks.push(chunk))
  tls.resume()
  if (!tls.closed) await once(tls, 'close')
  const bytes = Buffer.concat(chunks)
  const split = bytes.indexOf('\r\n\r\n') + 4
  const body = bytes.subarray(split)
  return { head: bytes.subarray(0, split).toString('latin1'), body, size: body.length, sha256: sha256(body), clean: records.endsWithAlert() }
}
