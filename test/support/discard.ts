import { fork } from 'node:child_process'
import { join } from 'node:path'
import type { DiscardMessage } from './discard-child'
import { messageOf } from './message'

export interface DiscardingClient {
  /** Asks for a path, on a connection that ends with the reply. */
  ask (path: string): Promise<void>
  /** Receives so many bytes at least, if they come before the connection's end; resolves to how many. */
  receive (count: number): Promise<number>
}

/** A client that costs next to nothing when it receives, in a process of its own. */
export async function discardingClient (t: Tap.Test, port: number): Promise<DiscardingClient> {
  const child = fork(join(__dirname, 'discard-child.js'), [String(port)], { env: { ...process.env, NODE_OPTIONS: '' } })
  t.teardown(() => { child.kill() })
  const tell = (message: DiscardMessage): Promise<number> => {
    child.send(message)
    return messageOf<number>(child)
  }
  await messageOf(child)
  return {
    ask: async path => { await tell(path) },
    receive: tell
  }
}
