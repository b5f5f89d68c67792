import { Agent } from 'node:http'
import type { AddressInfo } from 'node:net'
import fastifyStatic from '@fastify/static'
import type { FastifyStaticOptions } from '@fastify/static'
import Fastify from 'fastify'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { sha256 } from '../support/files'
import { request } from '../support/request'

export const keepingStatic = require('../../lib/static/index') as typeof fastifyStatic

type Request = Pick<InjectOptions, 'headers' | 'method' | 'url'>

export interface Compared {
  readonly kept: FastifyInstance
  readonly plain: FastifyInstance
  /** What each answers: status, headers as sent, and the body's hash. */
  readonly ask: (request: Request) => Promise<readonly [kept: string, plain: string]>
}

/**
 * Two applications that serve the same files, by fastify-ktls/static and by @fastify/static alone. They are asked without
 * a socket, by `inject`, whose response is not Node's, so that a stream is sent.
 */
export function compared (t: Tap.Test, options: FastifyStaticOptions, setup?: (app: FastifyInstance) => void): Promise<Compared> {
  return compare(t, options, setup, async app => request => answer(app, request))
}

/** The same over sockets: small bodies are not sent as streams. */
export function comparedOverSockets (t: Tap.Test, options: FastifyStaticOptions, setup?: (app: FastifyInstance) => void): Promise<Compared> {
  return compare(t, options, setup, async app => {
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as AddressInfo
    const agent = new Agent({ keepAlive: true })
    t.teardown(() => agent.destroy())
    return request => answerOverSocket(agent, port, request)
  })
}

type Ask = (request: Request) => Promise<string>

async function compare (t: Tap.Test, options: FastifyStaticOptions, setup: (app: FastifyInstance) => void = () => {}, asking: (app: FastifyInstance) => Promise<Ask>): Promise<Compared> {
  const [kept, plain] = await Promise.all([keepingStatic, fastifyStatic].map(async plugin => {
    const app = Fastify() as unknown as FastifyInstance
    t.teardown(() => app.close())
    setup(app)
    await app.register(plugin, { ...options })
    return app
  })) as [FastifyInstance, FastifyInstance]
  const [askKept, askPlain] = await Promise.all([kept, plain].map(asking)) as [Ask, Ask]
  return { kept, plain, ask: async request => Promise.all([askKept(request), askPlain(request)]) }
}

async function answer (app: FastifyInstance, request: Request): Promise<string> {
  const { statusCode, headers, rawPayload } = await app.inject(request)
  const { date, ...others } = headers
  return JSON.stringify([statusCode, Object.entries(others), sha256(rawPayload)])
}

async function answerOverSocket (agent: Agent, port: number, { method = 'GET', url, headers = {} }: Request): Promise<string> {
  const { status, rawHeaders, sha256 } = await request(`http://127.0.0.1:${port}`, { agent, method, path: String(url), headers })
  return JSON.stringify([status, rawHeaders.filter((_value, i) => rawHeaders[i - i % 2] !== 'Date'), sha256])
}

/** With a hook that sees what is sent. */
export function seeing (app: FastifyInstance): void {
  app.addHook('onSend', async (_request, _reply, payload) => payload)
}
