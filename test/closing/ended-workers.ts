/*
 * A child process of process-end.test.ts: worker threads that serve files to some
 * clients at once end in mid-transfer, by process.exit() or by being terminated.
 */
import { once } from 'node:events'
import { createReadStream, statSync } from 'node:fs'
import { Worker, isMainThread, parentPort } from 'node:worker_threads'
import { get, receive } from '../support/client'
import { startServer } from '../support/server'
import { arm } from '../faults/injector'

const ROUNDS = 3
const CLIENTS = 8
const EXIT_CODE = 3

export interface WorkersEnd {
  readonly clients: number
  /** Of these, how many got a part of the file. */
  readonly cut: number
  readonly exitCodes: readonly number[]
  /** What the workers' processes warned of. */
  readonly warnings: readonly string[]
}

async function main (end: string, path: string): Promise<WorkersEnd> {
  // The page cache is asked in vain, as that of tmpfs and overlayfs is; in all threads.
  arm({ point: 'cachestat', effect: 'at most 0', call: 1, times: Infinity })
  let cut = 0
  const exitCodes: number[] = []
  const warnings: string[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const worker = new Worker(__filename, { argv: [end, path] })
    const [{ port, size }] = await once(worker, 'message') as [{ port: number, size: number }]
    worker.on('message', (warning: string) => warnings.push(warning))
    const exited = once(worker, 'exit') as Promise<[number]>
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => get(port, '/')))
    await Promise.all(clients.map(({ tls }) => once(tls, 'readable')))
    if (end === 'exit') worker.postMessage('exit')
    else worker.terminate()
    exitCodes.push((await exited)[0])
    for (const client of clients) if ((await receive(client)).size < size) cut++
  }
  return { clients: ROUNDS * CLIENTS, cut, exitCodes, warnings }
}

async function serve (path: string): Promise<void> {
  process.on('warning', ({ message }) => parentPort!.postMessage(message))
  parentPort!.once('message', () => process.exit(EXIT_CODE))
  const { port } = await startServer({ teardown: () => {} }, {
    ktls: {},
    setup: app => { app.get('/', (_request, reply) => reply.send(createReadStream(path))) }
  })
  parentPort!.postMessage({ port, size: statSync(path).size })
}

const [end = '', path = ''] = process.argv.slice(2)
if (isMainThread) main(end, path).then(result => process.stdout.write(JSON.stringify(result)))
else serve(path)
