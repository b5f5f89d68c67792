import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { certificate } from '../certificate'
import { BACKEND } from './backend'
import { requestOf } from './client'
import { makeFile, makeFolder } from './files'
import type { TestFile } from './files'
import { countPromotions } from './kernel'
import { messageOf } from './message'
import type { SlowListening, SlowServing } from './slow-clients-child'
import { keepBuffersSmall } from './sockets'

export interface Crowd {
  readonly connections: number
  /** Of the file that each reads slowly. More than the buffers of a connection hold. */
  readonly size: number
}

/** How much more the server holds while all its clients make it wait, in bytes. */
export interface Growth {
  /** Of what it has allocated, in JavaScript's heap and out of it. */
  readonly inUse: number
  /** Of its resident memory, which also has what its allocators keep. */
  readonly resident: number
}

/** What a connection may hold that stands still, in bytes; by the threads also sealed bytes for which TCP has no room. */
const EACH = BACKEND === 'threads' ? 24 << 10 : (16 << 20) / 1000

/** With few of them what Node and the threads allocate once counts too. */
const LEAST = BACKEND === 'threads' ? 4 << 20 : 3 << 20

/** In bytes. */
export function boundOf (connections: number): number {
  return Math.max(EACH * connections, LEAST)
}

/** At a time: an emulated processor takes long for each. */
const HANDSHAKES = 20

interface Server extends SlowListening {
  readonly pid: number
  look (): Promise<SlowServing>
}

/** Four descriptors a connection are more than many systems allow by default. */
async function startServer (t: Tap.Test, folder: string, connections: number): Promise<Server> {
  const command = `ulimit -n ${4 * connections + 200} && exec "$@"`
  const child = spawn('sh', ['-c', command, 'sh', process.execPath, '--expose-gc', join(__dirname, 'slow-clients-child.js'), folder], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, NODE_OPTIONS: '', KTLS_TEST_CERTIFICATE: JSON.stringify(await certificate()) }
  })
  t.teardown(() => { child.kill() })
  const { port } = await messageOf<SlowListening>(child)
  return {
    port,
    pid: child.pid!,
    look: () => {
      child.send('look')
      return messageOf<SlowServing>(child)
    }
  }
}

/** Reads the next reply, whose body is to be of that size; the SHA-256 of the body. */
function hashOfReply (tls: TLSSocket, size: number): Promise<string> {
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

async function download (tls: TLSSocket, { name, size }: TestFile): Promise<string> {
  tls.write(requestOf(`/${name}`))
  return hashOfReply(tls, size)
}

async function connectAll (count: number, connectOne: () => Promise<TLSSocket>): Promise<TLSSocket[]> {
  const clients: TLSSocket[] = []
  await Promise.all(Array.from({ length: Math.min(HANDSHAKES, count) }, async (_unused, index) => {
    for (let i = index; i < count; i += HANDSHAKES) clients.push(await connectOne())
  }))
  return clients
}

/** Until so many replies have ended: a client has the last byte before the server knows. */
async function ended (look: () => Promise<SlowServing>, replies: number): Promise<SlowServing> {
  let now = await look()
  while (now.ended < replies) now = await look()
  return now
}

/** Until so many are being sent and nothing moves from one look to the next: the server waits for all of its clients. */
async function stalled (look: () => Promise<SlowServing>, replies: number): Promise<SlowServing> {
  let [before, now] = [await look(), await look()]
  while (now.sending < replies || now.bytes > before.bytes) [before, now] = [now, await look()]
  return now
}

const residentOf = (pid: number) => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) * 1024

/**
 * Has each connection download a small file, and then ask for a large one and
 * not read until all have asked. Returns what that costs the server.
 */
export async function slowClients (t: Tap.Test, { connections, size }: Crowd): Promise<Growth> {
  const folder = makeFolder(t)
  const small = makeFile(folder, 100_000)
  const large = makeFile(folder, size)
  const { pid, port, look } = await startServer(t, folder, connections)
  // It has asked the kernel what it can, by promotions.
  const promotions = countPromotions()
  let wrong = 0
  const clients = await connectAll(connections, async () => {
    const tcp = connectTcp(port, '127.0.0.1')
    await once(tcp, 'connect')
    keepBuffersSmall(tcp)
    const tls = connectTls({ socket: tcp, rejectUnauthorized: false })
    t.teardown(() => { tls.destroy() })
    await once(tls, 'secureConnect')
    if (await download(tls, small) !== small.sha256) wrong++
    return tls
  })
  const before = { ...await ended(look, connections), resident: residentOf(pid) }
  t.equal(before.promoted, connections)

  for (const tls of clients) tls.write(requestOf(`/${large.name}`))
  const during = await stalled(look, connections)
  const resident = residentOf(pid)
  t.equal(during.ended, connections, 'no large reply has ended')

  const hashes = await Promise.all(clients.map(tls => hashOfReply(tls, large.size)))
  t.equal(wrong + hashes.filter(hash => hash !== large.sha256).length, 0, 'every body is right')
  const after = await ended(look, 2 * connections)
  t.equal(after.offloaded, 2 * connections)
  t.equal(countPromotions(after.promoted) - promotions, connections)
  const total = ({ memory: { native, heap } }: SlowServing) => native + heap
  return { inUse: total(during) - total(before), resident: resident - before.resident }
}
