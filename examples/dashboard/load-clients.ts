/* The process behind load.ts: downloads, and throws the bytes away. */
import { setMaxListeners } from 'node:events'
import { Agent, get } from 'node:https'
import { constants, setPriority } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import type { Order } from './load'

// Decrypting takes as long as encrypting, and the server goes first.
setPriority(constants.priority.PRIORITY_LOW)

/** Milliseconds between a download that failed and the next one. */
const RETRY = 250

let stop = new AbortController()

process.on('message', ({ url, clients }: Order) => {
  stop.abort()
  stop = new AbortController()
  if (url === null) return
  // Each client has some, which Node takes for a leak from the eleventh on.
  setMaxListeners(0, stop.signal)
  for (let client = 0; client < clients; client++) keepDownloading(url, stop.signal)
})
process.once('disconnect', () => process.exit())

/** On a connection of its own: one that a backend has stays with it. */
async function keepDownloading (url: string, signal: AbortSignal): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  while (!signal.aborted) {
    // Both end early where the download is not wanted any more.
    await download(url, agent, signal).catch(() => setTimeout(RETRY, undefined, { signal })).catch(() => {})
  }
  agent.destroy()
}

function download (url: string, agent: Agent, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, { agent, rejectUnauthorized: false, signal }, response => {
      response.on('error', reject).on('end', resolve).resume()
    }).on('error', reject)
  })
}
