/*
 * A child process of connection/processes: only worker threads load the addon,
 * one after the other, and TLS goes on in the main thread when they have ended.
 */
import { once } from 'node:events'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { certificate } from '../certificate'
import { countPromotions } from './kernel'
import { request } from './request'
import type { Decision } from './server'
import { startWorker } from './worker'

interface EndedWorker {
  readonly decision: Decision
  readonly promotions: number
  readonly sha256: string
  readonly exitCode: number
}

export interface EndedWorkers {
  readonly workers: readonly EndedWorker[]
  /** Replies that the main thread's own server and client exchanged afterwards. */
  readonly bodies: readonly string[]
  /** Addons in the main thread. */
  readonly addons: readonly string[]
}

async function runWorker (folder: string, path: string): Promise<EndedWorker> {
  const { origin, served, close } = await startWorker(folder)
  const before = countPromotions()
  const [{ decision, promoted }, { sha256 }] = await Promise.all([served(), request(origin + path)])
  return { decision, promotions: countPromotions(promoted) - before, sha256, exitCode: await close() }
}

async function main (folder: string, path: string): Promise<EndedWorkers> {
  const workers = [await runWorker(folder, path), await runWorker(folder, path)]
  const server = https.createServer(await certificate(), (_request, response) => response.end('main')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const bodies: string[] = []
  for (let i = 0; i < 10; i++) bodies.push((await request(url)).body.toString())
  server.close()
  return { workers, bodies, addons: Object.keys(require.cache).filter(name => name.endsWith('.node')) }
}

main(process.argv[2]!, process.argv[3]!).then(result => process.stdout.write(JSON.stringify(result)))
