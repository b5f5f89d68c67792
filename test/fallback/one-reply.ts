/*
 * A child process of surroundings.test.ts: serves one file over HTTPS in the
 * surroundings that its argument describes, and prints what came of it.
 */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import Fastify from 'fastify'
import type { FastifyRequest } from 'fastify'
import type fastifyKtls from '../../types/index'
import type { ReplyDecision, Stats, Support } from '../../types/index'
import { certificate } from '../certificate'
import { request } from '../support/request'
import { until } from '../support/wait'

export interface Surroundings {
  /** The folder of the package to load. */
  readonly root: string
  /** The file to serve. */
  readonly path: string
  /** What `process.platform` is to say. */
  readonly platform?: string
  /** What the addon is to be. */
  readonly addon?: object
}

export interface Outcome {
  readonly support: Support
  readonly sha256: string
  readonly decision: ReplyDecision
  readonly fallbacks: Stats['fallbacks']
  readonly warnings: ReadonlyArray<{ readonly msg: string }>
}

async function serveOnce ({ root, path, platform, addon }: Surroundings): Promise<Outcome> {
  if (platform !== undefined) Object.defineProperty(process, 'platform', { value: platform })
  if (addon !== undefined) {
    const id = require.resolve(join(root, 'native/build/Release/fastify_ktls.node'))
    require.cache[id] = Object.assign(Object.create(module), { id, filename: id, exports: addon })
  }
  const plugin = require(join(root, 'dist/lib/index.js')) as typeof fastifyKtls
  const warnings: Array<{ msg: string }> = []
  const app = Fastify({
    https: await certificate(),
    logger: { level: 'warn', stream: { write: (line: string) => { warnings.push(JSON.parse(line)) } } }
  })
  await app.register(plugin)
  let decision: ReplyDecision | undefined
  app.addHook('onResponse', async (request: FastifyRequest) => { decision = request.ktls })
  app.get('/', (_request, reply) => reply.send(createReadStream(path)))
  const { sha256 } = await request(await app.listen({ port: 0, host: '127.0.0.1' }))
  await until(() => decision !== undefined)
  const { support } = app.ktls
  const { fallbacks } = app.ktls.stats()
  await app.close()
  return { support, sha256, decision: decision!, fallbacks, warnings }
}

serveOnce(JSON.parse(process.argv[2]!) as Surroundings).then(outcome => console.log(JSON.stringify(outcome)))
