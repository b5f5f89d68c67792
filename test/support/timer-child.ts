/*
 * A child process of load/quota: serves the folder named, with the plugin or without,
 * and tells its port. Told anything, it tells how late a timer of 1 ms has been since.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { statsOf } from './backend'
import { serveFolder } from './static'
import { threadsNamed } from './threads'

export interface TimerListening {
  readonly port: number
}

/** Milliseconds from one turn of the timer to the next, 1 where none is late. */
export interface Lateness {
  readonly mean: number
  readonly p99: number
  readonly max: number
  /** Replies that were offloaded. */
  readonly offloaded: number
  /** Threads that send. */
  readonly senders: number
}

async function serve (folder: string, plugin: boolean): Promise<void> {
  const { app, port } = await serveFolder({ teardown: () => {} }, folder, plugin ? { ktls: {} } : {})
  const timer = monitorEventLoopDelay({ resolution: 1 })
  timer.enable()
  process.on('message', () => {
    const [mean, p99, max] = [timer.mean, timer.percentile(99), timer.max].map(nanoseconds => nanoseconds / 1e6) as [number, number, number]
    process.send!({ mean, p99, max, offloaded: plugin ? statsOf(app).replies.file : 0, senders: threadsNamed('ktls-sender').length } satisfies Lateness)
    timer.reset()
  })
  process.send!({ port } satisfies TimerListening)
}

process.once('disconnect', () => process.exit())
serve(process.argv[2]!, process.argv[3] === 'plugin')
