/* The line at start says what becomes of replies, so that nobody waits for what this instance cannot have. */
import { createServer as createHttpServer } from 'node:http'
import type { RequestListener } from 'node:http'
import { createSecureServer } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { Server } from 'node:net'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import t from 'tap'
import { detect } from '../../lib/machine/support'
import type { FastifyKtlsOptions } from '../../types/index'
import { keepingStatic } from '../static/compared'
import { ktls } from '../support/plugin'

const [INFO, WARN] = [30, 40]
const USUAL = /^(kernel TLS offload is available|file replies go by sender threads)/
const NO_OFFLOAD = 'fastify-ktls/static: nothing is offloaded, as fastify-ktls is not registered in this context'

/** Level and text of what is logged until the instance is ready. */
async function linesOf (options: object, register: (app: FastifyInstance) => unknown): Promise<[number, string][]> {
  const lines: [number, string][] = []
  const stream = {
    write (line: string) {
      const { level, msg } = JSON.parse(line) as { level: number, msg: string }
      lines.push([level, msg])
    }
  }
  const app = Fastify({ ...options, logger: { level: 'info', stream } } as FastifyServerOptions) as FastifyInstance
  await register(app)
  await app.ready()
  await app.close()
  return lines
}

async function announced (options: object, settings: FastifyKtlsOptions = {}): Promise<[number, string][]> {
  return linesOf(options, app => app.register(ktls, settings))
}

t.test('HTTP/2 only', async t => {
  const line = 'replies go the ordinary way, as this instance speaks HTTP/2 only'
  const remedy = '; "https: { allowHTTP1: true }" lets it speak HTTP/1.1 too'
  t.strictSame(await announced({ http2: true, https: {} }), [[WARN, line + remedy]])
  t.strictSame(await announced({ http2: true }), [[WARN, line]])
  t.match(await announced({ http2: true, https: { allowHTTP1: true } }), [[INFO, USUAL]])
  const own = (serverFactory: (handler: RequestListener) => Server) => announced({ http2: true, serverFactory })
  t.strictSame(await own(handler => createSecureServer({}, handler as never)), [[WARN, line + remedy]])
  t.match(await own(handler => createSecureServer({ allowHTTP1: true }, handler as never)), [[INFO, USUAL]])
  t.match(await own(handler => createHttpsServer({}, handler)), [[INFO, USUAL]])
  t.match(await own(handler => createHttpServer(handler)), [[INFO, /sendfile/]])
})

t.test('without TLS', async t => {
  t.strictSame(await announced({}), [[INFO, 'file replies go by sendfile(2), as this instance has no TLS']])
  t.strictSame(await announced({}, { backends: ['kernel', 'threads'] }), [[WARN, 'replies go the ordinary way, as this instance has no TLS, and the option "backends" leaves "plain" out']])
})

t.test('backends that are left out', async t => {
  t.strictSame(await announced({ https: {} }, { backends: ['threads', 'plain'] }), [[INFO, 'file replies go by sender threads, as the option "backends" leaves the kernel out']])
  t.strictSame(await announced({ https: {} }, { backends: ['plain'] }), [[WARN, 'replies over TLS go the ordinary way, as the option "backends" names only "plain"']])
  t.match(await announced({ https: {} }), [[INFO, detect().support.available ? /^kernel TLS offload is available/ : /^file replies go by sender threads, as kernel TLS is not available: /]])
})

t.test('fastify-ktls/static by itself', async t => {
  const root = __dirname
  t.strictSame(await linesOf({}, app => {
    app.register(keepingStatic, { root })
    app.register(keepingStatic, { root, prefix: '/again', decorateReply: false })
  }), [[INFO, NO_OFFLOAD]], 'said once')
  t.strictSame(await linesOf({ https: {} }, app => {
    app.register(async child => { child.register(ktls) })
    app.register(keepingStatic, { root })
  }).then(lines => lines.at(-1)), [INFO, NO_OFFLOAD], 'in another context')
  t.strictSame(await linesOf({}, app => app.register(fastifyStatic, { root })), [])
  const plugin = (app: FastifyInstance) => app.register(ktls)
  const kept = (app: FastifyInstance) => app.register(keepingStatic, { root })
  for (const order of [[plugin, kept], [kept, plugin]]) {
    const lines = await linesOf({ https: {} }, app => { for (const register of order) register(app) })
    t.equal(lines.length, 1)
    t.match(lines, [[INFO, USUAL]], 'registered too, before or after')
  }
})
