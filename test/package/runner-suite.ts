/*
 * A user's test file, which runners.test.ts copies under several names into a project
 * and has Jest and Vitest run. Each evaluates it, and the plugin, anew.
 */
import type { FastifyInstance } from 'fastify'
import type { Response } from '../support/request'

declare const test: (name: string, body: () => Promise<void>) => void
declare const jest: { resetModules (): void } | undefined

/** What `settings.js` beside this file has. */
interface Settings {
  readonly https: { readonly key: string, readonly cert: string }
  readonly path: string
  readonly sha256: string
  /** Modules of the repository. */
  readonly plugin: string
  readonly request: string
}

const settings: Settings = require('./settings.json')
const { request }: { request: (url: string) => Promise<Response> } = require(settings.request)

async function start (): Promise<{ app: FastifyInstance, origin: string }> {
  const fs: typeof import('node:fs') = require('node:fs')
  const app: FastifyInstance = require('fastify')({ https: settings.https })
  app.register(require(settings.plugin))
  app.get('/', (_request, reply) => reply.send(fs.createReadStream(settings.path)))
  return { app, origin: await app.listen({ port: 0, host: '127.0.0.1' }) }
}

async function replies ({ app, origin }: { app: FastifyInstance, origin: string }): Promise<void> {
  const files = () => app.ktls.stats().replies.file.kernel
  const before = files()
  for (let i = 0; i < 3; i++) {
    if ((await request(origin)).sha256 !== settings.sha256) throw new Error('another body')
  }
  const got = files() - before
  if (got !== 3) throw new Error(`${got} of 3 replies were files sent by the kernel`)
}

test('replies arrive, and close() resolves', async () => {
  const server = await start()
  await replies(server)
  await server.app.close()
})

test('two applications, each with the plugin evaluated for itself', async () => {
  const first = await start()
  if (typeof jest !== 'undefined') jest.resetModules()
  const second = await start()
  for (const server of [first, second, first]) await replies(server)
  await first.app.close()
  await replies(second)
  await second.app.close()
})
