/*
 * An application that knows nothing of a preload, in a process of its own (started.ts): it serves one file, asks for it
 * once, and prints what came of it.
 */
import { createReadStream } from 'node:fs'
import type { RequestListener } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { buffer } from 'node:stream/consumers'
import { Worker, isMainThread, workerData } from 'node:worker_threads'
import type Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type fastifyKtls from '../../types/index'
import type { FastifyKtlsOptions, ReplyDecision, Stats, Support } from '../../types/index'
import { certificate } from '../certificate'
import { sha256 } from '../support/files'
import { request } from '../support/request'
import { until } from '../support/wait'

export interface Application {
  /** The file to serve. */
  readonly path: string
  /** The package that Fastify is in; not of the application that is an ES module. @defaultValue `'fastify'` */
  readonly fastify?: string
  /** @defaultValue `'https'` */
  readonly server?: 'https' | 'http' | 'http2' | 'serverFactory'
  /** The application's own registrations of the plugin. */
  readonly registrations?: readonly Registration[]
  /** All of that in a worker thread. */
  readonly worker?: boolean
}

export interface Registration {
  readonly options: FastifyKtlsOptions
  /** The plugin's file. */
  readonly plugin: string
}

export interface Outcome {
  /** Where the application does not start: the code of why. Then there is nothing more. */
  readonly failed?: string
  readonly sha256?: string
  readonly support?: Support
  readonly stats?: Stats
  readonly decision?: ReplyDecision
  readonly log: ReadonlyArray<{ readonly level: number, readonly msg: string }>
}

async function make (create: typeof Fastify, { server = 'https' }: Application, log: object[]): Promise<FastifyInstance> {
  const logger = { stream: { write: (line: string) => { log.push(JSON.parse(line)) } } }
  const keys = await certificate()
  const options = {
    https: { logger, https: keys },
    http: { logger },
    http2: { logger, http2: true, https: keys },
    serverFactory: { logger, serverFactory: (handler: RequestListener) => https.createServer(keys, handler) }
  }[server]
  return create(options as object) as unknown as FastifyInstance
}

async function bodyOf (origin: string, { server }: Application): Promise<string> {
  if (server !== 'http2') return (await request(origin)).sha256
  const session = http2.connect(origin, { rejectUnauthorized: false })
  const body = await buffer(session.request({ ':path': '/' }))
  session.close()
  return sha256(body)
}

/** Of a server of the application's own Fastify does not know that it has TLS. */
async function listen (app: FastifyInstance, { server }: Application): Promise<string> {
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  return server === 'serverFactory' ? origin.replace('http:', 'https:') : origin
}

async function serveOnce (create: typeof Fastify, application: Application): Promise<Outcome> {
  const log: Array<{ level: number, msg: string }> = []
  const app = await make(create, application, log)
  for (const { plugin, options } of application.registrations ?? []) app.register(require(plugin) as typeof fastifyKtls, options)
  let decision: ReplyDecision | undefined
  let replies = 0
  app.addHook('onResponse', async (request: FastifyRequest) => {
    decision = request.ktls
    replies++
  })
  app.get('/', (_request, reply) => reply.send(createReadStream(application.path)))
  try {
    const body = await bodyOf(await listen(app, application), application)
    await until(() => replies === 1)
    const { ktls } = app as Partial<FastifyInstance>
    return { sha256: body, log, ...decision && { decision }, ...ktls && { support: ktls.support, stats: ktls.stats() } }
  } catch (error) {
    return { failed: (error as { code: string }).code, log }
  } finally {
    await app.close()
  }
}

/** Node starts it with the options that the process was started with. */
function runInWorker (application: Application): void {
  const worker = new Worker(__filename, { workerData: { ...application, worker: false } })
  worker.once('error', error => { throw error })
}

/** The application itself. `create` makes Fastify's instance. */
export function main (create: (name: string) => typeof Fastify): void {
  const application = (isMainThread ? JSON.parse(process.argv[2]!) : workerData) as Application
  if (application.worker === true) return runInWorker(application)
  serveOnce(create(application.fastify ?? 'fastify'), application).then(outcome => console.log(JSON.stringify(outcome)))
}

if (require.main === module || !isMainThread) main(require)
