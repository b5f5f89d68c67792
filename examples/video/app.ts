import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'
import { cacheEntry } from '../../test/vm/cache'
import { serve } from '../serve'
import type { ExampleOptions } from '../serve'
import { sourceFolder } from '../sources'
import { makeClip } from './clip'

/** A page with a video that seeks, which needs nothing but ranges, and those are @fastify/static's. */
export async function createApp ({ https, root }: ExampleOptions) {
  const app = fastify({ https })
  await app.register(fastifyKtls)
  await app.register(fastifyStatic, { root })
  app.get('/', (_request, reply) => reply.sendFile('page.html', sourceFolder('video')))
  return app
}

if (require.main === module) {
  serve(createApp, 'A page with a video of its own that seeks: the browser asks for ranges.', () =>
    cacheEntry('video', '1', folder => writeFile(join(folder, 'clip.mp4'), makeClip())))
}
