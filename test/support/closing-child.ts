/*
 * A child process of closing/closing-server: it serves a file and ends by
 * app.close() on SIGTERM. Tells its parent the port, that it closes, and how
 * many connections were promoted.
 */
import { createReadStream } from 'node:fs'
import Fastify from 'fastify'
import { certificate } from '../certificate'
import { ONLY, SECURE, statsOf } from './backend'
import { ktls } from './plugin'
import { keepBuffersSmall } from './sockets'

if (process.env.KTLS_TEST_DOUBLE === '1') require('../double/install')

export type Message = { readonly port: number } | { readonly closing: true } | { readonly promoted: number }

function tell (message: Message): void {
  process.send!(message)
}

async function serve (path: string): Promise<void> {
  const app = Fastify(SECURE ? { https: await certificate() } : {} as object)
  await app.register(ktls, ONLY)
  app.server.on('connection', keepBuffersSmall)
  app.get('/', (_request, reply) => reply.send(createReadStream(path)))
  process.once('SIGTERM', async () => {
    process.removeAllListeners('disconnect')
    const closed = app.close()
    tell({ closing: true })
    await closed
    tell({ promoted: statsOf(app).connections.promoted })
    process.disconnect()
  })
  tell({ port: Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port) })
}

// The parent is gone, and with it whom to tell.
process.once('disconnect', () => process.exit())
serve(process.argv[2]!)
