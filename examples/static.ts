import fastifyStatic from '@fastify/static'
import fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'
import { serve } from './serve'
import type { ExampleOptions } from './serve'

/** A folder, with ranges, entity tags and dates; each range goes by sendfile too. */
export async function createApp ({ https, root }: ExampleOptions) {
  const app = fastify({ https })
  await app.register(fastifyKtls)
  await app.register(fastifyStatic, { root })
  return app
}

if (require.main === module) serve(createApp)
