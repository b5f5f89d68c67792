import type { AddressInfo } from 'node:net'
import cors from '@fastify/cors'
import etag from '@fastify/etag'
import helmet from '@fastify/helmet'
import multipart from '@fastify/multipart'
import fastifyStatic from '@fastify/static'
import underPressure from '@fastify/under-pressure'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { Agent, FormData, fetch } from 'undici'
import { ONLY, statsOf } from '../support/backend'
import { makeFile, makeFolder, sha256 } from '../support/files'
import type { TestFile } from '../support/files'
import { countPromotions } from '../support/kernel'
import { ktls } from '../support/plugin'
import { request } from '../support/request'
import { visible } from '../support/replies'
import { SCHEME, servers, startServer, transport } from '../support/server'

interface Neighbour {
  readonly name: string
  readonly register: (app: FastifyInstance) => unknown
  /** Whether it lets the file through. */
  readonly passes?: false
  /** A header that it sets. */
  readonly header?: string
}

const NEIGHBOURS: readonly Neighbour[] = [
  { name: '@fastify/helmet', header: 'content-security-policy', register: app => app.register(helmet) },
  { name: '@fastify/cors', header: 'access-control-allow-origin', register: app => app.register(cors, { origin: 'https://example.com' }) },
  { name: '@fastify/etag', register: app => app.register(etag) },
  { name: '@fastify/under-pressure', register: app => app.register(underPressure, { exposeStatusRoute: '/status' }) },
  { name: '@fastify/under-pressure, under pressure', passes: false, header: 'retry-after', register: app => app.register(underPressure, { healthCheck: async () => false, healthCheckInterval: 1e6 }) },
  { name: '@fastify/multipart', register: app => app.register(multipart) }
]

const REQUESTS = [
  { url: '/json' },
  { url: '/status' },
  { url: '/json', method: 'OPTIONS', headers: { origin: 'https://example.com', 'access-control-request-method': 'POST' } },
  { url: '/300000.bin', headers: { range: 'bytes=100000-' } },
  { url: '/300000.bin', method: 'HEAD' }
] as const

type Order = 'before' | 'after' | 'without'

async function serve (t: Tap.Test, folder: string, { register }: Neighbour, order: Order) {
  const { app, origin } = await startServer(t, {
    setup: async app => {
      if (order === 'after') await app.register(ktls, ONLY)
      await register(app)
      if (order === 'before') await app.register(ktls, ONLY)
      await app.register(fastifyStatic, { root: folder })
      app.get('/json', async () => ({ text: 'x'.repeat(1000) }))
      app.post('/upload', async request => ({ sha256: sha256(await (await request.file())!.toBuffer()) }))
    }
  })
  return { app, origin }
}

for (const neighbour of NEIGHBOURS) {
  t.test(neighbour.name, async t => {
    const folder = makeFolder(t)
    const file = makeFile(folder, 300_000)
    const expected = await replies((await serve(t, folder, neighbour, 'without')).origin, file)
    for (const order of ['before', 'after'] as const) {
      const { app, origin } = await serve(t, folder, neighbour, order)
      const promotions = countPromotions()
      const got = await replies(origin, file)
      t.strictSame(got.map(visible), expected.map(visible), `registered ${order} the plugin`)
      const [whole] = got
      t.equal(whole!.sha256 === file.sha256, neighbour.passes !== false)
      if (neighbour.header !== undefined) t.ok(whole!.headers[neighbour.header])
      // The whole file and the range.
      const offloaded = neighbour.passes === false ? 0 : 2
      t.equal(statsOf(app).replies.file, offloaded)
      t.equal(countPromotions() - promotions, offloaded)
    }
  })
}

async function replies (origin: string, file: TestFile) {
  const all = [await request(`${origin}/${file.name}`)]
  for (const { url, ...options } of REQUESTS) all.push(await request(origin + url, options))
  // What @fastify/etag makes of JSON, or else something that matches nothing.
  const tag = String(all[1]!.headers.etag ?? '"none"')
  all.push(await request(`${origin}/json`, { headers: { 'if-none-match': tag } }))
  return all
}

t.test('a file after an upload', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 300_000)
  const multipartOnly = NEIGHBOURS.find(({ name }) => name === '@fastify/multipart')!
  for (const order of ['before', 'after'] as const) {
    const { app, origin } = await serve(t, folder, multipartOnly, order)
    const agent = new Agent({ connections: 1, connect: { rejectUnauthorized: false } })
    const promotions = countPromotions()
    for (let round = 0; round < 2; round++) {
      const body = new FormData()
      const sent = Buffer.alloc(200_000, `upload ${round}`)
      body.append('file', new Blob([sent]), 'sent.bin')
      const answer = await fetch(`${origin}/upload`, { method: 'POST', body, dispatcher: agent })
      t.strictSame(await answer.json(), { sha256: sha256(sent) }, order)
      const download = await fetch(`${origin}/${file.name}`, { dispatcher: agent })
      t.equal(sha256(Buffer.from(await download.arrayBuffer())), file.sha256)
    }
    await agent.close()
    t.match(statsOf(app), { connections: { promoted: 1 }, replies: { file: 2 } })
    t.equal(countPromotions() - promotions, 1)
  }
})

t.test('the oldest Fastify 5 and @fastify/static for it', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 300_000)
  const tls = await transport()
  for (const [fastify, files] of [['fastify-5.0', 'fastify-static-8'], ['fastify-5.0', '@fastify/static'], ['fastify', 'fastify-static-8']] as const) {
    const app = (require(fastify) as typeof Fastify)({ ...tls, forceCloseConnections: true }) as unknown as FastifyInstance
    servers.push(app)
    await app.register(ktls, ONLY)
    await app.register(require(files) as typeof fastifyStatic, { root: folder })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const promotions = countPromotions()
    const origin = `${SCHEME}://127.0.0.1:${(app.server.address() as AddressInfo).port}`
    t.equal((await request(`${origin}/${file.name}`)).sha256, file.sha256, `${fastify}, ${files}`)
    const part = await request(`${origin}/${file.name}`, { headers: { range: 'bytes=200000-' } })
    t.equal(part.status, 206)
    t.equal(part.body.length, 100_000)
    t.equal(statsOf(app).replies.file, 2)
    t.equal(countPromotions() - promotions, 2)
    await app.close()
  }
})
