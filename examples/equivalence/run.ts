import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'
import type { Backend, Path, ReplyDecision } from 'fastify-ktls'
import { end, readArguments } from '../program'
import { exampleOptions } from '../serve'
import type { ExampleOptions } from '../serve'
import type { Transfer } from './transfer'

export interface Comparison extends Transfer {
  /** The way that the bytes took. */
  readonly path: Path | null
  readonly backend: Backend | null
  readonly reason: ReplyDecision['reason']
  /** Milliseconds of processor time that the server took for it, in all its threads. */
  readonly processor: number
}

/** Opens the connection, whose handshakes belong to none of the transfers. */
const FIRST = '/first'

/**
 * The same bytes thrice to one client on one connection: from memory by OpenSSL's
 * SSL_write, from the file, which gives the connection to a backend, and from memory
 * again, by that backend.
 */
export async function compare ({ https, root }: ExampleOptions, name: string): Promise<Comparison[]> {
  const path = join(root, name)
  const content = await readFile(path)
  const app = fastify({ https })
  await app.register(fastifyKtls)
  const replies: Array<Pick<Comparison, 'path' | 'backend' | 'reason' | 'processor'>> = []
  app.addHook('onRequest', async (request, reply) => {
    const began = process.cpuUsage()
    reply.raw.once('close', () => {
      const { user, system } = process.cpuUsage(began)
      const { path, backend, reason } = request.ktls
      replies.push({ path, backend, reason, processor: (user + system) / 1000 })
    })
  })
  app.get(FIRST, async () => '')
  // So much data would go by a backend at once.
  app.get('/by-openssl', { config: { ktls: false } }, (_request, reply) => reply.send(content))
  app.get('/memory', (_request, reply) => reply.send(content))
  app.get('/file', (_request, reply) => reply.send(createReadStream(path)))

  const origin = await app.listen({ host: '127.0.0.1', port: 0 })
  const client = fork(join(__dirname, 'transfer.js'), [origin, FIRST, '/by-openssl', '/file', '/memory'])
  const ended = once(client, 'exit')
  const message = await Promise.race([once(client, 'message'), ended.then(() => undefined)]) as [Transfer[]] | undefined
  const [code] = await ended
  await app.close()
  if (message === undefined) throw new Error(`the client has ended with ${code}, and no result`)
  const [transfers] = message
  return transfers.map((transfer, index) => ({ ...transfer, ...replies[index]! })).slice(1)
}

const BACKENDS: Readonly<Record<Backend, string>> = { kernel: 'kernel', threads: 'sender threads', plain: 'no encryption' }

function wayOf ({ path, backend }: Comparison): string {
  if (path === null) return 'undecided'
  return backend === null ? 'OpenSSL, SSL_write' : `${BACKENDS[backend]}, ${path === 'file' ? 'from file' : 'from memory'}`
}

export function areSame (comparisons: readonly Comparison[]): boolean {
  return new Set(comparisons.map(({ sha256 }) => sha256)).size === 1
}

export function formatTable (comparisons: readonly Comparison[]): string {
  const rows = comparisons.map(comparison => [
    wayOf(comparison),
    comparison.bytes.toLocaleString('en'),
    `${comparison.milliseconds.toFixed(0)} ms`,
    `${comparison.processor.toFixed(0)} ms`,
    comparison.sha256
  ])
  const table = [['encrypted by', 'bytes', 'time', 'server CPU', 'SHA-256'], ...rows]
  return [
    ...table.map(([way = '', bytes = '', time = '', processor = '', sum = '']) => [
      way.padEnd(27), bytes.padStart(11), time.padStart(9), processor.padStart(10), sum
    ].join('  ')),
    areSame(comparisons) ? 'The bytes are the same.' : 'The bytes DIFFER.'
  ].join('\n')
}

const SHOWS = `The same bytes thrice to one client, 100MB.bin of the folder: from memory by OpenSSL, from the
file and from memory by the backend of this machine. Compares and times them, and ends.`

async function main (): Promise<void> {
  const { folder } = readArguments({ shows: SHOWS, takes: ['folder'] })
  const comparisons = await compare(await exampleOptions(folder), '100MB.bin')
  console.log(formatTable(comparisons))
  if (!areSame(comparisons)) process.exitCode = 1
  const file = comparisons.find(({ url }) => url === '/file')
  if (file?.path !== 'file') console.log(`Nothing was offloaded: ${file?.reason}.`)
}

if (require.main === module) main().catch(end)
