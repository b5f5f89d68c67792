/* A Fastify server of the benchmark, in a process of its own: tells its port, and ends with its parent. */
import type { AddressInfo } from 'node:net'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import fastifyKtls from 'fastify-ktls'
import { certificate } from '../test/certificate'
import { TIMER_PERIOD } from './running'
import { JSON_BODY } from './workloads'

export interface ServerOptions {
  readonly folder: string
  readonly kind: 'plugin' | 'https' | 'http'
  /** The plugin's option. */
  readonly minSize: number
}

async function serve ({ folder, kind, minSize }: ServerOptions): Promise<void> {
  const app = (kind === 'http' ? Fastify() : Fastify({ https: await certificate() })) as unknown as FastifyInstance
  if (kind === 'plugin') await app.register(fastifyKtls, { mode: 'require', backends: ['kernel'], minSize })
  await app.register(fastifyStatic, { root: folder })
  const body: unknown = JSON.parse(JSON_BODY)
  app.get('/json', async () => body)
  await app.listen({ port: 0, host: '127.0.0.1' })
  process.send!((app.server.address() as AddressInfo).port)
}

/** Watches the loop from 'watch' on, and tells what it saw when asked again. */
function watch (): void {
  let [turns, late] = [0, 0]
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    turns++
    if (now - last > 2 * TIMER_PERIOD) late++
    last = now
  }, TIMER_PERIOD)
  process.once('message', () => {
    clearInterval(timer)
    process.send!(late / turns)
    process.once('message', watch)
  })
}

process.once('message', watch)
process.once('disconnect', () => process.exit())
serve(JSON.parse(process.argv[2]!) as ServerOptions)
