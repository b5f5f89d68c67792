/*
 * An application in a folder of its own, where install.guest.test.ts copies this file:
 * serves the file of that folder once and prints what came of it, in JSON.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { get } from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'
import type { ReplyDecision, Support } from 'fastify-ktls'

export interface Outcome {
  /** Of the body. */
  readonly sha256: string
  readonly decision: ReplyDecision
  readonly support: Support
  /** The addons that are loaded, by their paths in the package. */
  readonly addons: readonly string[]
}

/** The file's name. */
export const FILE = 'file.bin'

async function main (): Promise<void> {
  const app = Fastify({ https: { key: readFileSync(join(__dirname, 'key.pem')), cert: readFileSync(join(__dirname, 'cert.pem')) } })
  const decided = new Promise<ReplyDecision>(resolve => app.addHook('onResponse', async request => resolve(request.ktls)))
  await app.register(fastifyKtls)
  await app.register(fastifyStatic, { root: __dirname, serve: true })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const [response] = await once(get({ port, path: `/${FILE}`, ca: readFileSync(join(__dirname, 'cert.pem')), servername: 'localhost', agent: false }), 'response') as [IncomingMessage]
  const hash = createHash('sha256')
  for await (const chunk of response) hash.update(chunk as Buffer)
  const decision = await decided
  const { support } = app.ktls
  await app.close()
  const addons = Object.keys(require.cache).filter(path => path.endsWith('.node')).map(path => path.split('/node_modules/fastify-ktls/')[1]!)
  console.log(JSON.stringify({ sha256: hash.digest('hex'), decision, support, addons } satisfies Outcome))
}

if (require.main === module) main()
