import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { sha256 } from './files'

export interface RawClient {
  readonly tls: TLSSocket
  /** The TCP connection below, for a reset. */
  readonly tcp: Socket
}

/** A TLS client that has sent `GET path` and reads nothing by itself. */
export async function get (port: number, path: string, headers: readonly string[] = [], options: ConnectionOptions = {}): Promise<RawClient> {
  const tcp = connectTcp(port, '127.0.0.1')
  const tls = connectTls({ socket: tcp, rejectUnauthorized: false, ...options })
  tls.on('error', () => {})
  await once(tls, 'secureConnect')
  tls.write(['GET ' + path + ' HTTP/1.1', 'Host: localhost', ...headers, '', ''].join('\r\n'))
  return { tls, tcp }
}

export interface Received {
  readonly head: string
  readonly size: number
  readonly sha256: string
  /** Whether the connection ended by a close_notify, not by an error or a bare FIN. */
  readonly clean: boolean
}

/** Reads to the end of the connection. */
export async function receive ({ tls }: RawClient): Promise<Received> {
  const chunks: Buffer[] = []
  let clean = false
  tls.on('data', chunk => chunks.push(chunk))
  tls.on('end', () => { clean = true })
  if (!tls.closed) await once(tls, 'close')
  const bytes = Buffer.concat(chunks)
  const split = bytes.indexOf('\r\n\r\n') + 4
  const body = bytes.subarray(split)
  return { head: bytes.subarray(0, split).toString('latin1'), size: body.length, sha256: sha256(body), clean }
}
