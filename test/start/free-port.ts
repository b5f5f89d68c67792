import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Those that no connection gets by itself begin at 32768 (net.ipv4.ip_local_port_range). */
const FIRST = 20_000
const LAST = 32_767

/** A port of 127.0.0.1 that is free, and that no other process is given meanwhile for having asked for any. */
export async function freePort (): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST + 1)
    const server = createServer().listen(port, '127.0.0.1')
    const free = await once(server, 'listening').then(() => true, () => false)
    server.close()
    if (free) return port
  }
}
