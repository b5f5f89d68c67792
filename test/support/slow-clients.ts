import { readFileSync } from 'node:fs'
import { BACKEND } from './backend'
import { requestOf } from './client'
import { connectCrowd, ended, hashOfReply, serveCrowd } from './crowd'
import type { CrowdServer } from './crowd'
import type { CrowdServing } from './crowd-child'
import { makeFile, makeFolder } from './files'
import { countPromotions } from './kernel'

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
const EACH = BACKEND !== 'kernel' ? 24 << 10 : (16 << 20) / 1000

/** With few of them what Node and the threads allocate once counts too. */
const LEAST = BACKEND !== 'kernel' ? 4 << 20 : 3 << 20

/** In bytes. */
export function boundOf (connections: number): number {
  return Math.max(EACH * connections, LEAST)
}

/** Until so many are being sent and nothing moves from one look to the next: the server waits for all of its clients. */
async function stalled ({ look }: CrowdServer, replies: number): Promise<CrowdServing> {
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
  const server = await serveCrowd(t, folder, 4 * connections + 200)
  // It has asked the kernel what it can, by promotions.
  const promotions = countPromotions()
  const clients = await connectCrowd(t, server.port, connections, small)
  const before = { ...await ended(server, connections), resident: residentOf(server.pid) }
  t.equal(before.promoted, connections)

  for (const tls of clients) tls.write(requestOf(`/${large.name}`))
  const during = await stalled(server, connections)
  const resident = residentOf(server.pid)
  t.equal(during.ended, connections, 'no large reply has ended')

  const hashes = await Promise.all(clients.map(tls => hashOfReply(tls, large.size)))
  t.equal(hashes.filter(hash => hash !== large.sha256).length, 0, 'every body is right')
  const after = await ended(server, 2 * connections)
  t.equal(after.offloaded, 2 * connections)
  t.equal(countPromotions(after.promoted) - promotions, connections)
  const total = ({ memory: { native, heap } }: CrowdServing) => native + heap
  return { inUse: total(during) - total(before), resident: resident - before.resident }
}
