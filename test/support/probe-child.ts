/* A child process of faults/loopback: registers the plugin, and prints what it can do here and how long that took. */
import Fastify from 'fastify'
import type { Support } from '../../types/index'
import { ktls } from './plugin'

export interface Probed {
  readonly support: Support
  readonly milliseconds: number
}

async function main (): Promise<void> {
  const app = Fastify()
  await app.ready()
  const other = Fastify()
  const began = performance.now()
  await other.register(ktls)
  const milliseconds = performance.now() - began
  console.log(JSON.stringify({ support: other.ktls.support, milliseconds } satisfies Probed))
  await Promise.all([app.close(), other.close()])
}

main()
