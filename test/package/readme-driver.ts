/*
 * Uses the application that readme.ts has composed, from its own process, and
 * prints what came of it: a line of JSON that begins with MARK.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Stats } from 'fastify-ktls'
import { FILE } from './app'

export const MARK = 'outcome: '

/** The file whose download is given up. */
export const LARGE = 'large.bin'

export interface ReadmeOutcome {
  /** Of the file's body. */
  readonly sha256: string
  readonly metrics: string
  readonly stats: Stats
}

export async function drive (app: FastifyInstance): Promise<void> {
  await once(app.server, 'listening')
  const { port } = app.server.address() as AddressInfo
  const ca = readFileSync(join(__dirname, 'cert.pem'))
  const ask = async (path: string) => {
    const [response] = await once(get({ port, path, ca, servername: 'localhost', agent: false }), 'response') as [IncomingMessage]
    return response
  }
  const hash = createHash('sha256')
  for await (const chunk of await ask(`/${FILE}`)) hash.update(chunk as Buffer)
  const given = await ask(`/${LARGE}`)
  await once(given, 'data')
  given.destroy()
  while (app.ktls.stats().connections.open > 0) await new Promise(resolve => { setImmediate(resolve) })
  let metrics = ''
  for await (const chunk of await ask('/metrics')) metrics += String(chunk)
  console.log(MARK + JSON.stringify({ sha256: hash.digest('hex'), metrics, stats: app.ktls.stats() } satisfies ReadmeOutcome))
  await app.close()
}
