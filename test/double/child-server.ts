/*
 * A child process of application.test.ts: a server with or without the plugin,
 * which tells its parent its port and what goes wrong.
 */
import './install'
import { createReadStream } from 'node:fs'
import Fastify from 'fastify'
import { certificate } from '../certificate'
import { ktls } from '../support/plugin'

export interface ChildServer {
  readonly plugin: boolean
  /** The file to serve. */
  readonly path: string
}

export interface Uncaught {
  readonly uncaught: string
  /** How many connections the kernel had. */
  readonly promoted: number
}

/** More than the buffers of a connection hold. */
const LARGE = Buffer.alloc(32 << 20, 'large')

async function serve ({ plugin, path }: ChildServer): Promise<void> {
  const app = Fastify({ https: await certificate() })
  if (plugin) await app.register(ktls)
  app.get('/file', (_request, reply) => reply.send(createReadStream(path)))
  app.get('/exit', (_request, reply) => {
    reply.raw.once('finish', () => process.exit())
    return reply.send(createReadStream(path))
  })
  app.get('/throws', (_request, reply) => {
    reply.hijack()
    reply.raw.setHeader('content-length', LARGE.length)
    reply.raw.write(LARGE, () => { throw new Error('thrown by a callback') })
    reply.raw.end()
  })
  process.on('uncaughtException', ({ message }) => {
    process.send!({ uncaught: message, promoted: plugin ? app.ktls.stats().connections.promoted : 0 } satisfies Uncaught)
  })
  process.send!(await app.listen({ port: 0, host: '127.0.0.1' }))
}

// The parent is gone, and with it whom to tell.
process.once('disconnect', () => process.exit())
serve(JSON.parse(process.argv[2]!) as ChildServer)
