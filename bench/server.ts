/* A Fastify server of the benchmark, in a process of its own: tells its port, and ends with its parent. */
import type { AddressInfo } from 'node:net'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import fastifyKtls from 'fastify-ktls'
import { certificate } from '../test/certificate'
import { JSON_BODY } from './workloads'

export interface ServerOptions {
  readonly folder: string
  readonly kind: 'plugin' | 'https' | 'http'
}

async function serve ({ folder, kind }: ServerOptions): Promise<void> {
  const app = (kind === 'http' ? Fastify() : Fastify({ https: await certificate() })) as unknown as FastifyInstance
  if (kind === 'plugin') await app.register(fastifyKtls, { mode: 'require' })
  await app.register(fastifyStatic, { root: folder })
  const body: unknown = JSON.parse(JSON_BODY)
  app.get('/json', async () => body)
  await app.listen({ port: 0, host: '127.0.0.1' })
  process.send!((app.server.address() as AddressInfo).port)
}

process.once('disconnect', () => process.exit())
serve(JSON.parse(process.argv[2]!) as ServerOptions)
