import { once } from 'node:events'
import type { ConnectionOptions } from 'node:tls'
import { SECURE } from './backend'
import { get, requestOf } from './client'

export interface Conversation {
  /** The bodies of the replies that came whole. */
  readonly bodies: readonly Buffer[]
  /** What came of the body of the next one. */
  readonly rest: Buffer
  /** Every head that came whole says 200, and every record that came could be opened. */
  readonly ok: boolean
  /** Whether the connection ended by a close_notify; without TLS by a FIN, and after all replies. */
  readonly clean: boolean
}

/** One connection; each path is asked for when the reply before it is whole, the last with `Connection: close`. */
export async function converse (port: number, paths: readonly string[], options: ConnectionOptions = {}): Promise<Conversation> {
  const headers = (index: number) => index === paths.length - 1 ? ['Connection: close'] : []
  const client = await get(port, paths[0]!, headers(0), options)
  const bodies: Buffer[] = []
  let bytes: Buffer = Buffer.alloc(0)
  let ok = true
  // Not for the connection's end, which has another code.
  client.tls.on('error', (error: NodeJS.ErrnoException) => { ok &&= !error.code?.startsWith('ERR_SSL_') })
  client.tls.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    for (let reply = parse(bytes); reply !== undefined && reply.body.length >= reply.length; reply = parse(bytes)) {
      ok &&= reply.ok
      bodies.push(reply.body.subarray(0, reply.length))
      bytes = reply.body.subarray(reply.length)
      const path = paths[bodies.length]
      if (path !== undefined) client.tls.write(requestOf(path, headers(bodies.length)))
    }
  })
  if (!client.tls.closed) await once(client.tls, 'close')
  const last = parse(bytes)
  return { bodies, rest: last?.body ?? Buffer.alloc(0), ok: ok && last?.ok !== false, clean: SECURE ? client.records.endsWithAlert() : client.tcp.readableEnded && bodies.length === paths.length }
}

function parse (bytes: Buffer): { ok: boolean, length: number, body: Buffer } | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = bytes.subarray(0, end).toString('latin1')
  return {
    ok: head.startsWith('HTTP/1.1 200 '),
    length: Number(/^content-length: (\d+)$/im.exec(head)![1]),
    body: bytes.subarray(end + 4)
  }
}
