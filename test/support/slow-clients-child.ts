/*
 * A child process of support/slow-clients.ts: serves the folder named, tells its
 * port, and how it stands when told anything.
 */
if (process.env.KTLS_TEST_DOUBLE === '1') require('../double/install')
import type { FastifyRequest } from 'fastify'
import { statsOf } from './backend'
import { memoryInUse } from './memory'
import type { MemoryInUse } from './memory'
import { keepBuffersSmall } from './sockets'
import { serveFolder } from './static'

export interface SlowListening {
  readonly port: number
}

export interface SlowServing {
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

async function serve (folder: string): Promise<void> {
  const open = new Set<FastifyRequest>()
  let ended = 0
  let offloaded = 0
  const { app, port, decisions } = await serveFolder({ teardown: () => {} }, folder, {
    ktls: {},
    // Those that come first wait for the last one: in a guest for minutes.
    fastify: { keepAliveTimeout: 3_600_000 },
    setup: app => {
      app.addHook('onRequest', async (request, reply) => {
        open.add(request)
        reply.raw.once('close', () => open.delete(request))
      })
      app.server.on('connection', keepBuffersSmall)
    }
  })
  process.on('message', async () => {
    const memory = await memoryInUse()
    const { connections: { promoted }, bytes } = statsOf(app)
    const sending = Array.from(open).filter(({ ktls }) => ktls.offloaded).length
    process.send!({ promoted, sending, ended, offloaded, bytes: bytes.file, memory } satisfies SlowServing)
  })
  process.send!({ port } satisfies SlowListening)
  for (;;) {
    const [decision] = await decisions(1)
    ended++
    if (decision!.offloaded) offloaded++
  }
}

process.once('disconnect', () => process.exit())
serve(process.argv[2]!)
