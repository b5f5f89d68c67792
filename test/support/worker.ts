import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { messageOf } from './message'
import { SCHEME } from './server'
import type { Listening, Served } from './worker-server'

/** What runs in a cluster's worker or a worker thread. */
export const WORKER_SERVER = join(__dirname, 'worker-server.js')

export interface WorkerServer extends Listening {
  readonly worker: Worker
  readonly origin: string
  /** Waits for the end of a reply. Must be called before the request is made. */
  served: () => Promise<Served>
  /** Has the server close, and with it the worker end by itself. Resolves to its exit code. */
  close: () => Promise<number>
}

/** A server in a worker thread. */
export async function startWorker (folder: string): Promise<WorkerServer> {
  const worker = new Worker(WORKER_SERVER, { argv: [folder] })
  const { port } = await messageOf<Listening>(worker)
  return {
    worker,
    port,
    origin: `${SCHEME}://127.0.0.1:${port}`,
    served: () => messageOf<Served>(worker),
    close: async () => {
      worker.postMessage('close')
      return (await once(worker, 'exit') as [number])[0]
    }
  }
}
