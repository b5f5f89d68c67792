/*
 * The server of a cluster's worker or of a worker thread. It serves the folder
 * that its argument names, and tells its port and then of each reply. A worker
 * thread closes it when told anything.
 */
import { parentPort } from 'node:worker_threads'
import { statsOf } from './backend'
import type { Decision } from './server'
import { serveFolder } from './static'

export interface Listening {
  readonly port: number
}

export interface Served {
  readonly decision: Decision
  /** How many of its connections the kernel has got. */
  readonly promoted: number
}

if (process.env.KTLS_TEST_DOUBLE === '1') require('../double/install')

function tell (message: Listening | Served): void {
  if (parentPort === null) process.send!(message)
  else parentPort.postMessage(message)
}

async function serve (folder: string): Promise<void> {
  const { app, port, decisions } = await serveFolder({ teardown: () => {} }, folder, { ktls: {} })
  parentPort?.once('message', () => app.close())
  tell({ port })
  for (;;) {
    const [decision] = await decisions(1)
    tell({ decision: decision!, promoted: statsOf(app).connections.promoted })
  }
}

serve(process.argv[2]!)
