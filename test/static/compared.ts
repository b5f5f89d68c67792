import fastifyStatic from '@fastify/static'
import type { FastifyStaticOptions } from '@fastify/static'
import Fastify from 'fastify'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { sha256 } from '../support/files'

export const keepingStatic = require('../../lib/static/index') as typeof fastifyStatic

export interface Compared {
  readonly kept: FastifyInstance
  readonly plain: FastifyInstance
  /** What each answers: status, headers as sent, and the body's hash. */
  readonly ask: (request: InjectOptions) => Promise<readonly [kept: string, plain: string]>
}

/** Two applications that serve the same files, by fastify-ktls/static and by @fastify/static alone. */
export async function compared (t: Tap.Test, options: FastifyStaticOptions, setup: (app: FastifyInstance) => void = () => {}): Promise<Compared> {
  const [kept, plain] = await Promise.all([keepingStatic, fastifyStatic].map(async plugin => {
    const app = Fastify() as unknown as FastifyInstance
    t.teardown(() => app.close())
    setup(app)
    await app.register(plugin, { ...options })
    return app
  })) as [FastifyInstance, FastifyInstance]
  const ask = async (request: InjectOptions) => {
    const [one, other] = await Promise.all([answer(kept, request), answer(plain, request)])
    return [one, other] as const
  }
  return { kept, plain, ask }
}

async function answer (app: FastifyInstance, request: InjectOptions): Promise<string> {
  const { statusCode, headers, rawPayload } = await app.inject(request)
  const { date, ...others } = headers
  return JSON.stringify([statusCode, Object.entries(others), sha256(rawPayload)])
}

/** With a hook that sees what is sent, so that it has to be a stream. */
export function seeing (app: FastifyInstance): void {
  app.addHook('onSend', async (_request, _reply, payload) => payload)
}
