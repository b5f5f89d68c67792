import fastifyStatic from '@fastify/static'
import { startServer } from './server'
import type { Owner, ServerOptions, TestServer } from './server'

/** A server that serves a folder at its root with @fastify/static. */
export function serveFolder (t: Owner, folder: string, options: ServerOptions): Promise<TestServer> {
  return startServer(t, {
    ...options,
    setup: async app => {
      await app.register(fastifyStatic, { root: folder })
      await options.setup?.(app)
    }
  })
}
