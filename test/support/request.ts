import http from 'node:http'
import https from 'node:https'
import type { IncomingMessage } from 'node:http'
import { sha256 } from './files'

export interface Response {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Names and values in turn, as they were sent. */
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  readonly sha256: string
}

/** One request with Node's own client, on a connection of its own unless an agent is given. */
export function request (url: string, options: https.RequestOptions = {}): Promise<Response> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? https.request : http.request
    const outgoing = send(url, { rejectUnauthorized: false, agent: false, ...options }, incoming => {
      collect(incoming).then(resolve, reject)
    })
    outgoing.once('error', reject)
    outgoing.end()
  })
}

async function collect (incoming: IncomingMessage): Promise<Response> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  return { status: incoming.statusCode!, headers: incoming.headers, rawHeaders: incoming.rawHeaders, body, sha256: sha256(body) }
}
