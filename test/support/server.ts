import { strictEqual } from 'node:assert'
import type { ServerOptions as HttpsOptions } from 'node:https'
import type { AddressInfo, Server as NetServer } from 'node:net'
import { PassThrough } from 'node:stream'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import type { FastifyKtlsOptions, ReplyDecision } from '../../types/index'
import { certificate } from '../certificate'
import { openAccount } from './accounts'
import { BACKEND, ONLY, SECURE } from './backend'
import { ktls } from './plugin'

export interface TestServer {
  readonly app: FastifyInstance
  readonly port: number
  readonly origin: string
  /**
   * The decisions on the next `count` replies to end: a client has the last byte before the server knows.
   * Rejects where one names a backend that is not under test.
   */
  decisions: (count: number) => Promise<Decision[]>
  /** Log entries of level warn and above. */
  readonly warnings: Array<Record<string, unknown>>
  /** All log entries, of `logLevel` and above. */
  readonly log: Array<Record<string, unknown>>
}

export type Decision = ReplyDecision & { readonly url: string }

export interface ServerOptions {
  /** `undefined`: the plugin is not registered at all. Without `backends` it may use the one under test alone. */
  readonly ktls?: FastifyKtlsOptions
  /** Of no meaning where the backend under test has no TLS. */
  readonly tls?: HttpsOptions
  /** Fastify's own. */
  readonly fastify?: Pick<FastifyServerOptions, 'connectionTimeout' | 'forceCloseConnections' | 'keepAliveTimeout' | 'maxRequestsPerSocket'>
  /** HTTP/2 for the clients that can, HTTP/1.1 for the others. */
  readonly http2?: boolean
  /** @defaultValue `'warn'` */
  readonly logLevel?: 'debug'
  /** System calls are made to lie, also about what TCP has got. */
  readonly lies?: boolean
  readonly setup?: (app: FastifyInstance) => void | Promise<void>
  readonly host?: string
}

/** Fastify's options that make a server with TLS, unless the backend under test has none. */
export async function transport (): Promise<{ readonly https?: HttpsOptions }> {
  return SECURE ? { https: await certificate() } : {}
}

/** What URLs begin with. */
export const SCHEME = SECURE ? 'https' : 'http'

/** Ends what it started: a test, or a worker that stands for itself. */
export type Owner = Pick<Tap.Test, 'teardown'>

const WARN = 40

/** All that were started in this thread. */
export const servers: Array<Pick<FastifyInstance, 'ktls'>> = []

/** What a Fastify instance is to those who only have it listen. */
export type Listener = Pick<FastifyInstance, 'ktls' | 'close'> & {
  readonly server: NetServer
  listen (where: { port: number, host: string }): Promise<string>
}

/** Has an instance listen on a free port of the loopback interface. At the end its account is checked, unless it `lies`. */
export async function listen (t: Owner, app: Listener, { host = '127.0.0.1', lies = false }: Pick<ServerOptions, 'host' | 'lies'> = {}): Promise<number> {
  servers.push(app)
  const checkAccount = openAccount(app)
  await app.listen({ port: 0, host })
  t.teardown(async () => {
    await app.close()
    if (!lies) await checkAccount()
  })
  return (app.server.address() as AddressInfo).port
}

/** A Fastify server on a free port of the loopback interface, with TLS unless the backend under test has none. */
export async function startServer (t: Owner, options: ServerOptions): Promise<TestServer> {
  const finished = new PassThrough({ objectMode: true, highWaterMark: 1e6 })
  const iterator: AsyncIterator<Decision> = finished[Symbol.asyncIterator]()
  const log: TestServer['log'] = []
  const warnings: TestServer['warnings'] = []
  const https = { ...await certificate(), ...options.tls }
  const settings = {
    forceCloseConnections: true,
    logger: {
      level: options.logLevel ?? 'warn',
      stream: {
        write: (line: string) => {
          const entry = JSON.parse(line)
          log.push(entry)
          if (entry.level >= WARN) warnings.push(entry)
        }
      }
    },
    ...options.fastify
  }
  const app = (!SECURE
    ? Fastify({ ...settings, http: options.tls ?? {} })
    : options.http2 === true
      ? Fastify({ ...settings, https: { ...https, allowHTTP1: true }, http2: true })
      : Fastify({ ...settings, https })) as unknown as FastifyInstance
  if (options.ktls !== undefined) {
    await app.register(ktls, { ...ONLY, ...options.ktls })
    app.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
      // Not 'finish': a client that has its Content-Length may leave before that.
      reply.raw.once('close', () => finished.write({ ...request.ktls, url: request.url }))
      done()
    })
  }
  await options.setup?.(app)
  const port = await listen(t, app, options)
  const decisions = async (count: number) => {
    const taken: Decision[] = []
    while (taken.length < count) taken.push((await iterator.next()).value)
    if (options.ktls?.backends === undefined) {
      for (const { path, backend, url } of taken) strictEqual(backend, path === 'file' || path === 'write' ? BACKEND : null, `the backend of ${url}, by ${path}`)
    }
    return taken
  }
  return { app, port, origin: `${SCHEME}://127.0.0.1:${port}`, decisions, warnings, log }
}
