/* A Fastify server of the benchmark, in a process of its own: tells its port, answers its parent's questions, and ends with it. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import fastifyKtls from 'fastify-ktls'
import fastifyKtlsStatic from 'fastify-ktls/static'
import { certificate } from '../test/certificate'
import type { Backend } from '../types/index'
import { TIMER_PERIOD } from './running'
import { COMPRESSED, JSON_BODY, WORKLOADS } from './workloads'

export interface ServerOptions {
  readonly folder: string
  /** 'kept': the plugin, and its files kept open; 'memory': a handler that keeps files in memory. */
  readonly kind: 'plugin' | 'kept' | 'https' | 'http' | 'memory'
  /** The plugin's option. */
  readonly minSize: number
  /** The only one that the plugin may use. */
  readonly backend: Backend
}

/** Each is answered by a number: 'watch' by 0 once the loop is watched, 'watched' by the share of late turns since, 'offloaded' by replies. */
export type Question = 'watch' | 'watched' | 'offloaded'

async function serve ({ folder, kind, minSize, backend }: ServerOptions): Promise<void> {
  const app = (kind === 'http' || backend === 'plain' ? Fastify() : Fastify({ https: await certificate() })) as unknown as FastifyInstance
  const plugin = kind === 'plugin' || kind === 'kept'
  if (plugin) await app.register(fastifyKtls, { mode: backend === 'kernel' ? 'require' : 'auto', backends: [backend], minSize })
  if (kind === 'memory') keepInMemory(app, folder)
  else {
    const files = kind === 'kept' ? fastifyKtlsStatic : fastifyStatic
    await app.register(files, { root: folder })
    await app.register(files, { root: join(folder, COMPRESSED), prefix: COMPRESSED, preCompressed: true, decorateReply: false })
  }
  if (kind !== 'memory') sendData(app, folder)
  const body: unknown = JSON.parse(JSON_BODY)
  app.get('/json', async () => body)
  await app.listen({ port: 0, host: '127.0.0.1' })
  let watched = () => 0
  process.on('message', (question: Question) => {
    let answer = 0
    if (question === 'watch') watched = watch()
    if (question === 'watched') answer = watched()
    if (question === 'offloaded') answer = offloadedBy(app)
    process.send!(answer)
  })
  process.send!((app.server.address() as AddressInfo).port)
}

/** Replies that had no reason to go by the event loop: by the only backend that the plugin may use. */
function offloadedBy (app: FastifyInstance): number {
  const sum = (counts: object) => Object.values(counts).reduce((sum: number, count) => sum + Number(count), 0)
  const { replies: { file, write, node }, fallbacks } = app.ktls.stats()
  return sum(file) + sum(write) + node - sum(fallbacks)
}

/** Each as a handler would have it: a Buffer, a text, or what is serialised each time. */
function sendData (app: FastifyInstance, folder: string): void {
  for (const { path, data } of WORKLOADS) {
    if (data === undefined || !existsSync(join(folder, path)) || app.hasRoute({ url: path, method: 'GET' })) continue
    const bytes = readFileSync(join(folder, path))
    const payload: unknown = data === 'buffer' ? bytes : data === 'text' ? bytes.toString() : JSON.parse(bytes.toString())
    app.get(path, async () => payload)
  }
}

/** The least that a handler of one's own comes down to: bodies stay in memory, and a file is asked each time whether it has changed. */
function keepInMemory (app: FastifyInstance, folder: string): void {
  const kept = new Map<string, { readonly modified: number, readonly headers: Record<string, string>, readonly body: Buffer }>()
  app.get('/*', (request, reply) => {
    const compressed = request.headers['accept-encoding'] !== undefined && existsSync(join(folder, `${request.url}.gz`))
    const path = join(folder, compressed ? `${request.url}.gz` : request.url)
    const { mtime, mtimeMs: modified } = statSync(path)
    let file = kept.get(path)
    if (file?.modified !== modified) {
      const headers = { 'cache-control': 'public, max-age=0', 'last-modified': mtime.toUTCString(), 'content-type': 'application/octet-stream', ...compressed && { 'content-encoding': 'gzip', vary: 'accept-encoding' } }
      kept.set(path, file = { modified, headers, body: readFileSync(path) })
    }
    reply.headers(file.headers)
    return request.headers['if-none-match'] === undefined ? reply.send(file.body) : reply.code(304).send()
  })
}

/** Watches the loop from now on; the returned function tells what it saw. */
function watch (): () => number {
  let [turns, late] = [0, 0]
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    turns++
    if (now - last > 2 * TIMER_PERIOD) late++
    last = now
  }, TIMER_PERIOD)
  return () => {
    clearInterval(timer)
    return late / turns
  }
}

process.once('disconnect', () => process.exit())
serve(JSON.parse(process.argv[2]!) as ServerOptions)
