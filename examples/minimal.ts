import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'
import { serve } from './serve'
import type { ExampleOptions } from './serve'

/** The smallest app: one file. */
export async function createApp ({ https, root }: ExampleOptions) {
  const app = fastify({ https })
  await app.register(fastifyKtls)
  app.get('/', (_request, reply) => reply.send(createReadStream(join(root, '10MB.bin'))))
  return app
}

if (require.main === module) serve(createApp, 'The smallest app: one file, 10MB.bin of the folder, at /.')
