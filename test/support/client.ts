import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { SECURE } from './backend'
import { sha256 } from './files'
import { RecordWatch } from './records'

export interface RawClient {
  /** Where the backend under test has no TLS, the TCP connection itself. */
  readonly tls: TLSSocket
  /** The TCP connection below, for a reset. */
  readonly tcp: Socket
  readonly records: RecordWatch
}

/** A client that reads nothing by itself, with TLS where the backend under test has it. `onKeylog` gets the lines of its key log. */
export async function open (port: number, options: ConnectionOptions = {}, onKeylog: (line: Buffer) => void = () => {}): Promise<RawClient> {
  const tcp = connectTcp(port, '127.0.0.1')
  const records = new RecordWatch()
  if (!SECURE) {
    tcp.on('error', () => {})
    await once(tcp, 'connect')
    return { tls: tcp as TLSSocket, tcp, records }
  }
  const tls = connectTls({ socket: watched(tcp, records), rejectUnauthorized: false, ...options })
  tls.on('error', () => {})
  tls.on('keylog', onKeylog)
  await connected(tls)
  return { tls, tcp, records }
}

/** Until the handshake is over; rejects if the connection ends before. */
export function connected (tls: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    tls.once('secureConnect', resolve)
    tls.once('error', reject)
    tls.once('close', () => reject(new Error('closed before the handshake was over')))
  })
}

/** A client that has sent `GET path`. */
export async function get (port: number, path: string, headers: readonly string[] = [], options: ConnectionOptions = {}): Promise<RawClient> {
  const client = await open(port, options)
  ask(client, path, headers)
  return client
}

export function ask ({ tls }: RawClient, path: string, headers: readonly string[] = []): void {
  tls.write(requestOf(path, headers))
}

/** `GET path` as it is sent. */
export function requestOf (path: string, headers: readonly string[] = []): string {
  return linesOf([`GET ${path} HTTP/1.1`, 'Host: localhost', ...headers])
}

function linesOf (lines: readonly string[]): string {
  return [...lines, '', ''].join('\r\n')
}

/** Sends the lines of a request, and the empty one after them. */
export function send ({ tls }: RawClient, ...lines: readonly string[]): void {
  tls.write(linesOf(lines))
}

export interface Reply {
  readonly head: string
  readonly body: Buffer
  readonly sha256: string
}

/** Until there is more to read; rejects if the connection has no more than the bytes that it had. */
function readable (tls: TLSSocket, had: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void) => {
      tls.off('readable', onReadable).off('close', onClose)
      settle()
    }
    const onReadable = () => done(resolve)
    const onClose = () => done(() => reject(new Error(`closed after ${had} bytes of a reply`, { cause: tls.errored })))
    tls.on('readable', onReadable).on('close', onClose)
    if (tls.closed) onClose()
  })
}

/** Reads one reply; without Content-Length, or to `HEAD`, it has no body. What follows stays in the stream. */
export async function readReply ({ tls }: RawClient, method = 'GET'): Promise<Reply> {
  const readTo = async (size: (bytes: Buffer) => number): Promise<Buffer> => {
    const chunks: Buffer[] = []
    for (let have = 0, wanted = -1; ;) {
      const chunk: Buffer | null = tls.read()
      if (chunk === null) {
        await readable(tls, have)
        continue
      }
      chunks.push(chunk)
      have += chunk.length
      if (wanted < 0) wanted = size(Buffer.concat(chunks))
      if (wanted < 0 || have < wanted) continue
      const bytes = Buffer.concat(chunks)
      if (have > wanted) tls.unshift(bytes.subarray(wanted))
      return bytes.subarray(0, wanted)
    }
  }
  const head = (await readTo(bytes => bytes.includes('\r\n\r\n') ? bytes.indexOf('\r\n\r\n') + 4 : -1)).toString('latin1')
  const length = method === 'HEAD' ? 0 : lengthOf(head)
  const body = length === 0 ? Buffer.alloc(0) : await readTo(() => length)
  return { head, body, sha256: sha256(body) }
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
  /** Whether the connection ended by a close_notify; without TLS by a FIN, and not within the first reply. */
  readonly clean: boolean
}

/** Whether it has ended by what says that nothing is missing; without TLS that is for the last reply, and its length, to say. */
function hasEndedClean ({ tcp, records }: RawClient, last: { readonly head: string, readonly body: Buffer }): boolean {
  return SECURE ? records.endsWithAlert() : tcp.readableEnded && last.body.length >= lengthOf(last.head)
}

function lengthOf (head: string): number {
  return Number(/^content-length: (\d+)\r$/im.exec(head)?.[1] ?? 0)
}

/** Reads to the end of the connection. */
export async function receive (client: RawClient): Promise<Received> {
  const { tls } = client
  const chunks: Buffer[] = []
  tls.on('data', chunk => chunks.push(chunk))
  tls.resume()
  if (!tls.closed) await once(tls, 'close')
  const bytes = Buffer.concat(chunks)
  const split = bytes.indexOf('\r\n\r\n') + 4
  const body = bytes.subarray(split)
  const head = bytes.subarray(0, split).toString('latin1')
  return { head, body, size: body.length, sha256: sha256(body), clean: hasEndedClean(client, { head, body }) }
}
