/* A child process of keys/secrets: serves the folder named, tells its port, and ends with its parent. */
if (process.env.KTLS_TEST_DOUBLE === '1') require('../double/install')
import type { AddressInfo } from 'node:net'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import { certificate } from '../certificate'
import { ONLY, canRekey, statsOf } from './backend'
import { ktls } from './plugin'

export interface ChildOptions {
  readonly folder: string
  readonly plugin: boolean
  readonly ciphers?: string
}

export interface ChildMessage {
  readonly port: number
  readonly rekey: boolean
}

export interface ChildConnections {
  readonly open: number
  readonly promoted: number
}

async function serve ({ folder, plugin, ciphers }: ChildOptions): Promise<void> {
  const app = Fastify({ https: { ...await certificate(), ...(ciphers && { ciphers }) } })
  if (plugin) await app.register(ktls, ONLY)
  await app.register(fastifyStatic, { root: folder })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  process.send!({ port, rekey: plugin && canRekey(app) } satisfies ChildMessage)
  // Any message asks for the connections, when nothing is left to collect.
  process.on('message', () => {
    global.gc!()
    app.server.getConnections((_error, count) => process.send!({ open: count, promoted: plugin ? statsOf(app).connections.promoted : 0 } satisfies ChildConnections))
  })
}

process.once('disconnect', () => process.exit())
serve(JSON.parse(process.argv[2]!) as ChildOptions)
