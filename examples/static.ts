import fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'
import fastifyKtlsStatic from 'fastify-ktls/static'
import { serve } from './serve'
import type { ExampleOptions } from './serve'

/** A folder, with ranges, entity tags and dates; each range goes by sendfile too, and small files are kept open. */
export async function createApp ({ https, root }: ExampleOptions) {
  const app = fastify({ https })
  await app.register(fastifyKtls)
  await app.register(fastifyKtlsStatic, { root })
  return app
}

if (require.main === module) serve(createApp, 'A folder of files, with ranges, entity tags and dates; small files are kept open.')
