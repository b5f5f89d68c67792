import fs from 'node:fs'
import { join } from 'node:path'
import { run } from '../vm/run'
import { makeFolder } from './files'

/** libuv's, unless UV_THREADPOOL_SIZE says otherwise. */
const THREADS = 4

/** Has what libuv's threads are given from then on wait, until the function that it returns is called. */
export type HoldPool = () => () => void

export async function makePoolHolder (t: Tap.Test): Promise<HoldPool> {
  const fifo = join(makeFolder(t), 'fifo')
  await run('mkfifo', [fifo])
  return () => {
    let writer: number | undefined
    let waiting = THREADS
    // Each waits in open(2) until somebody has the other end open (man 7 fifo).
    for (let i = 0; i < THREADS; i++) {
      fs.open(fifo, 'r', (error, fd) => {
        // A thread that comes late finds it gone.
        if (error === null) fs.closeSync(fd)
        if (--waiting === 0) fs.closeSync(writer!)
      })
    }
    return () => { writer = fs.openSync(fifo, 'r+') }
  }
}
