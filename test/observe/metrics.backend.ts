import { Registry } from 'prom-client'
import t from 'tap'
import { BACKEND, statsOf } from '../support/backend'
import { makeFile, makeFolder } from '../support/files'
import { request } from '../support/request'
import { serveFolder } from '../support/static'

t.test('a scrape after a file reply', async t => {
  const { collectKtlsMetrics } = require('fastify-ktls/metrics') as typeof import('fastify-ktls/metrics')
  t.equal((await import('fastify-ktls/metrics')).collectKtlsMetrics, collectKtlsMetrics, 'for import and require')
  const folder = makeFolder(t)
  const file = makeFile(folder, 300_000)
  const { app, origin, decisions } = await serveFolder(t, folder, { ktls: {} })
  const registry = new Registry()
  collectKtlsMetrics(app, registry)
  t.equal((await request(`${origin}/${file.name}`)).sha256, file.sha256)
  await decisions(1)
  for (let scrape = 1; scrape <= 2; scrape++) {
    const text = await registry.metrics()
    t.match(text, `\nfastify_ktls_replies_total{path="file",backend="${BACKEND}"} 1\n`)
    t.match(text, `\nfastify_ktls_bytes_total{path="file",backend="${BACKEND}"} ${file.size}\n`)
    t.match(text, `\nfastify_ktls_connections_promoted_total{backend="${BACKEND}"} 1\n`)
    const { kernel } = statsOf(app)
    if (kernel !== null) t.match(text, `\nfastify_ktls_kernel_sockets_total{encryption="software"} ${kernel.promoted.software}\n`)
  }
})
