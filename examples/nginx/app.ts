import fastifyStatic from '@fastify/static'
import fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'
import { end, readArguments } from '../program'
import { exampleOptions } from '../serve'
import { clearSocket } from './socket'

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

const SHOWS = `A folder of files behind nginx, which terminates TLS: over a Unix socket. nginx is not
started; its part is examples/nginx/nginx.conf. At /address is who the client is.`

async function main (): Promise<void> {
  const { folder, socket: path } = readArguments({ shows: SHOWS, takes: ['folder', 'socket'] })
  const app = await createApp(await exampleOptions(folder))
  await clearSocket(path)
  await app.listen({ path })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close().then(() => process.exit()))
  console.log(`ready at ${path}; nginx.conf has what goes before it`)
}

if (require.main === module) main().catch(end)
