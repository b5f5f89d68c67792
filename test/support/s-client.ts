import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { buffer } from 'node:stream/consumers'
import { until } from './wait'

export interface SClient {
  write (text: string): void
  /** Until it has said this. */
  line (text: string): Promise<void>
}

/** OpenSSL's own client, which can ask for what Node's cannot. Its commands are lines of one letter. */
export async function sClient (port: number, args: readonly string[], talk: (client: SClient) => Promise<void>): Promise<Buffer> {
  const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-quiet', ...args])
  const closed = once(child, 'close')
  let over = false
  closed.then(() => { over = true })
  const lines = createInterface({ input: child.stderr })
  const seen: string[] = []
  lines.on('line', line => seen.push(line))
  const output = buffer(child.stdout)
  try {
    await talk({
      write: text => { child.stdin.write(text) },
      line: async text => {
        await until(() => over || seen.includes(text))
        if (!seen.includes(text)) throw new Error(`ended without the line ${text}:\n${seen.join('\n')}`)
      }
    })
  } catch (error) {
    child.kill()
    throw error
  }
  const bytes = await output
  await closed
  return bytes
}
