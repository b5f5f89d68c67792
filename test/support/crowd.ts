import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { certificate } from '../certificate'
import { SECURE } from './backend'
import { requestOf } from './client'
import type { CrowdListening, CrowdServing } from './crowd-child'
import type { TestFile } from './files'
import { messageOf } from './message'
import { keepBuffersSmall } from './sockets'

/** At a time: an emulated processor takes long for each. */
const HANDSHAKES = 20

export interface CrowdServer extends CrowdListening {
  readonly pid: number
  look (): Promise<CrowdServing>
}

/** In a process of its own, which may have so many descriptors open: more than many systems allow by default. */
export async function serveCrowd (t: Tap.Test, folder: string, descriptors: number, kind: 'plugin' | 'without' = 'plugin'): Promise<CrowdServer> {
  const command = `ulimit -n ${descriptors} && exec "$@"`
  const child = spawn('sh', ['-c', command, 'sh', process.execPath, '--expose-gc', join(__dirname, 'crowd-child.js'), folder, kind], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, NODE_OPTIONS: '', KTLS_TEST_CERTIFICATE: JSON.stringify(await certificate()) }
  })
  t.teardown(() => { child.kill() })
  const { port } = await messageOf<CrowdListening>(child)
  return {
    port,
    pid: child.pid!,
    look: () => {
      child.send('look')
      return messageOf<CrowdServing>(child)
    }
  }
}

/** Reads the next reply, whose body is to be of that size; the SHA-256 of the body. */
export function hashOfReply (tls: Socket, size: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256')
    let head: Buffer | undefined = Buffer.alloc(0)
    let left = size
    const take = (bytes: Buffer) => {
      hash.update(bytes)
      left -= bytes.length
      if (left > 0) return
      tls.off('data', onData).off('close', onClose).pause()
      resolve(hash.digest('hex'))
    }
    const onData = (bytes: Buffer) => {
      if (head === undefined) return take(bytes)
      head = Buffer.concat([head, bytes])
      const end = head.indexOf('\r\n\r\n') + 4
      if (end < 4) return
      bytes = head.subarray(end)
      head = undefined
      take(bytes)
    }
    const onClose = () => reject(new Error(`closed, ${left} bytes before the end`))
    tls.on('data', onData).once('close', onClose).resume()
  })
}

async function download (tls: Socket, { name, size }: TestFile): Promise<string> {
  tls.write(requestOf(`/${name}`))
  return hashOfReply(tls, size)
}

/** Clients with small buffers, each of which has downloaded the file. Rejects at a wrong body. */
export async function connectCrowd (t: Tap.Test, port: number, count: number, file: TestFile): Promise<Socket[]> {
  const clients: Socket[] = []
  await Promise.all(Array.from({ length: Math.min(HANDSHAKES, count) }, async (_unused, index) => {
    for (let i = index; i < count; i += HANDSHAKES) clients.push(await connectOne(t, port, file))
  }))
  return clients
}

async function connectOne (t: Tap.Test, port: number, file: TestFile): Promise<Socket> {
  const tcp = connectTcp(port, '127.0.0.1')
  await once(tcp, 'connect')
  keepBuffersSmall(tcp)
  const tls = SECURE ? connectTls({ socket: tcp, rejectUnauthorized: false }) : tcp
  t.teardown(() => { tls.destroy() })
  if (SECURE) await once(tls, 'secureConnect')
  if (await download(tls, file) !== file.sha256) throw new Error('a body is wrong')
  return tls
}

/** Until so many replies have ended: a client has the last byte before the server knows. */
export async function ended ({ look }: CrowdServer, replies: number): Promise<CrowdServing> {
  let now = await look()
  while (now.ended < replies) now = await look()
  return now
}
