/*
 * With a quota of one processor, as containers have, the senders must not spend what the
 * event loop needs: a process over its quota stands still for the rest of the period.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { Client } from '../../bench/client'
import { certificate } from '../certificate'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { messageOf } from '../support/message'
import { Quota } from '../support/quota'
import type { Lateness, TimerListening } from '../support/timer-child'

const CLIENTS = 64
const ROUNDS = 9

const folder = makeFolder(t)
const file = makeFile(folder, 1 << 20)

/** Serves in a process of its own that has one processor's time. Returns what downloads by all clients at once do to its timer. */
async function startServer (t: Tap.Test, kind: 'plugin' | 'without'): Promise<() => Promise<Lateness>> {
  const child = fork(join(__dirname, '../support/timer-child.js'), [folder, kind], {
    env: { ...process.env, NODE_OPTIONS: '', KTLS_TEST_BACKEND: 'threads', KTLS_TEST_CERTIFICATE: JSON.stringify(await certificate()) }
  })
  const quota = new Quota(child.pid!)
  t.teardown(async () => {
    child.kill()
    await once(child, 'exit')
    quota.remove()
  })
  const { port } = await messageOf<TimerListening>(child)
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => Client.connect(port, true)))
  t.teardown(() => Promise.all(clients.map(client => client.close())))
  const look = () => {
    child.send('look')
    return messageOf<Lateness>(child)
  }
  return async () => {
    await look()
    const bodies = await Promise.all(clients.map(async client => {
      const chunks: Buffer[] = []
      await client.get(`/${file.name}`, [], bytes => { chunks.push(bytes) })
      return sha256(Buffer.concat(chunks))
    }))
    if (bodies.some(hash => hash !== file.sha256)) throw new Error('a body is wrong')
    return look()
  }
}

t.test('64 downloads with one processor', async t => {
  const [plugin, without] = [await startServer(t, 'plugin'), await startServer(t, 'without')]
  const rounds: Array<readonly [Lateness, Lateness]> = []
  for (let round = 0; round <= ROUNDS; round++) rounds.push([await plugin(), await without()])
  // The first one has code to compile and connections to promote.
  const [, ...measured] = rounds
  // Within a round both meet alike what else the machine does.
  const ratios = measured.map(([plugin, without]) => plugin.mean / without.mean).sort((a, b) => a - b)
  for (const [plugin, without] of measured) t.comment(`mean ${plugin.mean} ms, of a hundred the last ${plugin.p99}; without the plugin ${without.mean}, ${without.p99}`)
  t.ok(ratios[measured.length >> 1]! <= 1, `to Fastify alone: ${ratios.join(', ')}`)
  t.match(rounds.at(-1)![0], { offloaded: CLIENTS * (ROUNDS + 1), senders: 1 })
})
