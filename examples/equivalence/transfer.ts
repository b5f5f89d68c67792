import { createHash } from 'node:crypto'
import https from 'node:https'
import { end } from '../program'

/** What the client saw of one transfer. */
export interface Transfer {
  readonly url: string
  readonly bytes: number
  readonly sha256: string
  readonly milliseconds: number
}

/** Gets the URLs one after the other, on one connection. */
export async function transferAll (origin: string, urls: readonly string[]): Promise<Transfer[]> {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false })
  const transfers: Transfer[] = []
  for (const url of urls) transfers.push(await transfer(origin, url, agent))
  agent.destroy()
  return transfers
}

function transfer (origin: string, url: string, agent: https.Agent): Promise<Transfer> {
  return new Promise((resolve, reject) => {
    const began = performance.now()
    const hash = createHash('sha256')
    let bytes = 0
    https.get(origin + url, { agent }, response => {
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        hash.update(chunk)
      })
      response.on('end', () => resolve({ url, bytes, sha256: hash.digest('hex'), milliseconds: performance.now() - began }))
      response.on('error', reject)
    }).on('error', reject)
  })
}

/** A process of its own, so that the client's work is not the server's. */
if (require.main === module) {
  const [origin = '', ...urls] = process.argv.slice(2)
  transferAll(origin, urls).then(transfers => process.send!(transfers)).catch(end)
}
