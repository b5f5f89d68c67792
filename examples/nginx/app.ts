import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import fastifyStatic from '@fastify/static'
import fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'
import { exampleOptions } from '../serve'

export interface BehindNginx {
  /** The folder of the files that are served. */
  readonly root: string
}

/**
 * An app behind nginx, which terminates TLS (nginx.conf beside this file). Files go to
 * nginx by sendfile(2), over a Unix socket as over TCP.
 */
export async function createApp ({ root }: BehindNginx) {
  // Only nginx reaches the app, so it is believed who the client is (X-Forwarded-For).
  const app = fastify({ trustProxy: true })
  await app.register(fastifyKtls)
  await app.register(fastifyStatic, { root })
  app.get('/address', async request => ({ address: request.ip, protocol: request.protocol }))
  return app
}

async function main (): Promise<void> {
  const app = await createApp(await exampleOptions())
  const path = process.env.SOCKET ?? join(tmpdir(), 'fastify-ktls-example.sock')
  // One that a process has left behind that ended abruptly.
  rmSync(path, { force: true })
  await app.listen({ path })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close().then(() => process.exit()))
  console.log(`ready at ${path}; nginx.conf has what goes before it`)
}

if (require.main === module) main()
