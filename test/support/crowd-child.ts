/*
 * A child process of support/crowd.ts: serves the folder named, with the plugin or without, tells its
 * port, and how it stands when told anything.
 */
if (process.env.KTLS_TEST_DOUBLE === '1') require('../double/install')
import type { FastifyRequest } from 'fastify'
import { statsOf } from './backend'
import { memoryInUse } from './memory'
import type { MemoryInUse } from './memory'
import { keepBuffersSmall } from './sockets'
import { serveFolder } from './static'

export interface CrowdListening {
  readonly port: number
}

export interface CrowdServing {
  readonly promoted: number
  /** Replies under way whose body is offloaded. */
  readonly sending: number
  /** Replies that have ended. */
  readonly ended: number
  /** Those of them whose body was offloaded. */
  readonly offloaded: number
  /** Bytes that the backend has taken of files. */
  readonly bytes: number
  readonly memory: MemoryInUse
}

/** What nobody counts without the plugin. */
const WITHOUT = { connections: { promoted: 0 }, bytes: { file: 0 } }

async function serve (folder: string, plugin: boolean): Promise<void> {
  const open = new Set<FastifyRequest>()
  let ended = 0
  let offloaded = 0
  const { app, port } = await serveFolder({ teardown: () => {} }, folder, {
    ...(plugin ? { ktls: {} } : {}),
    // Those that come first wait for the last one: in a guest for minutes.
    fastify: { keepAliveTimeout: 3_600_000 },
    setup: app => {
      app.addHook('onRequest', async (request, reply) => {
        open.add(request)
        reply.raw.once('close', () => {
          open.delete(request)
          ended++
          if (plugin && request.ktls.offloaded) offloaded++
        })
      })
      app.server.on('connection', keepBuffersSmall)
    }
  })
  process.on('message', async () => {
    const memory = await memoryInUse()
    const { connections: { promoted }, bytes } = plugin ? statsOf(app) : WITHOUT
    const sending = Array.from(open).filter(({ ktls }) => ktls?.offloaded).length
    process.send!({ promoted, sending, ended, offloaded, bytes: bytes.file, memory } satisfies CrowdServing)
  })
  process.send!({ port } satisfies CrowdListening)
}

process.once('disconnect', () => process.exit())
serve(process.argv[2]!, process.argv[3] === 'plugin')
