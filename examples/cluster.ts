import cluster from 'node:cluster'
import { availableParallelism } from 'node:os'
import fastifyStatic from '@fastify/static'
import fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'
import { end, readArguments } from './program'
import { exampleOptions, serve } from './serve'
import type { ExampleOptions } from './serve'
import { availablePort } from './start/port'

/** One process for each core, all on one port. Each offloads its own connections, and counts for itself. */
export async function createApp ({ https, root }: ExampleOptions) {
  const app = fastify({ https })
  await app.register(fastifyKtls)
  await app.register(fastifyStatic, { root })
  app.get('/stats', async () => ({ worker: cluster.worker?.id, ...app.ktls.stats() }))
  return app
}

const SHOWS = `A folder of files, served by a process for each core, all on one port. At /stats is which of
them replies, and what it has sent.`

async function main (): Promise<void> {
  if (cluster.isWorker) {
    await serve(createApp, SHOWS)
    return
  }
  // Here, so that not each worker says what is wrong, and not each makes its own files.
  const { folder, port } = readArguments({ shows: SHOWS, takes: ['folder', 'port'] })
  if (port !== 0) await availablePort(port)
  await exampleOptions(folder)
  const count = availableParallelism()
  for (let i = 0; i < count; i++) cluster.fork()
  let listening = 0
  cluster.on('listening', worker => {
    if (++listening === count) console.log(`${count} processes serve`)
    // One that has listened is replaced; one that could not would only fail again.
    worker.once('exit', () => {
      if (!worker.exitedAfterDisconnect) cluster.fork()
    })
  })
  // Without workers this process ends, which is a failure unless it was told to.
  process.exitCode = 1
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      process.exitCode = 0
      // Each takes no more connections, and ends with its last one.
      cluster.disconnect()
    })
  }
}

if (require.main === module) main().catch(end)
