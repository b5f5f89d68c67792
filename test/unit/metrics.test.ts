import { AggregatorRegistry, Registry } from 'prom-client'
import t from 'tap'
import { collectKtlsMetrics } from '../../lib/observe/metrics'
import type { Backend, FastifyKtls, Stats } from '../../types/index'
import { blocksOf, rowsOf } from '../package/readme'

const STATS: Stats = {
  connections: { seen: 9, promoted: { kernel: 8, threads: 80, plain: 800 }, open: 7 },
  keys: { updated: 6, usedUp: 5 },
  replies: { file: { kernel: 40, threads: 400, plain: 4000 }, write: { kernel: 41, threads: 410, plain: 4100 }, node: 42 },
  bytes: { file: { kernel: 5_000_000_000, threads: 30, plain: 300 }, write: { kernel: 31, threads: 310, plain: 3100 }, node: 32 },
  fallbacks: { 'too-small': 20, http2: 21 },
  files: { open: 12, hits: 13, misses: { new: 14, changed: 15, request: 16, headers: 17 } },
  senders: { threads: 2, cpuSeconds: 1.25, waiting: 3 },
  kernel: { open: { software: 1, device: 2 }, promoted: { software: 3, device: 4 }, keys: { updated: 10, failed: 11 } }
}

const SAMPLES = [
  'fastify_ktls_available{backend="kernel"} 1',
  'fastify_ktls_available{backend="threads"} 1',
  'fastify_ktls_available{backend="plain"} 1',
  'fastify_ktls_connections_total 9',
  'fastify_ktls_connections_promoted_total{backend="kernel"} 8',
  'fastify_ktls_connections_promoted_total{backend="threads"} 80',
  'fastify_ktls_connections_promoted_total{backend="plain"} 800',
  'fastify_ktls_connections_open 7',
  'fastify_ktls_key_updates_total 6',
  'fastify_ktls_keys_used_up_total 5',
  'fastify_ktls_replies_total{path="file",backend="kernel"} 40',
  'fastify_ktls_replies_total{path="file",backend="threads"} 400',
  'fastify_ktls_replies_total{path="file",backend="plain"} 4000',
  'fastify_ktls_replies_total{path="write",backend="kernel"} 41',
  'fastify_ktls_replies_total{path="write",backend="threads"} 410',
  'fastify_ktls_replies_total{path="write",backend="plain"} 4100',
  'fastify_ktls_replies_total{path="node",backend="none"} 42',
  'fastify_ktls_bytes_total{path="file",backend="kernel"} 5000000000',
  'fastify_ktls_bytes_total{path="file",backend="threads"} 30',
  'fastify_ktls_bytes_total{path="file",backend="plain"} 300',
  'fastify_ktls_bytes_total{path="write",backend="kernel"} 31',
  'fastify_ktls_bytes_total{path="write",backend="threads"} 310',
  'fastify_ktls_bytes_total{path="write",backend="plain"} 3100',
  'fastify_ktls_bytes_total{path="node",backend="none"} 32',
  'fastify_ktls_fallbacks_total{reason="too-small"} 20',
  'fastify_ktls_fallbacks_total{reason="http2"} 21',
  'fastify_ktls_files_open 12',
  'fastify_ktls_file_requests_total{result="hit"} 13',
  'fastify_ktls_file_requests_total{result="new"} 14',
  'fastify_ktls_file_requests_total{result="changed"} 15',
  'fastify_ktls_file_requests_total{result="request"} 16',
  'fastify_ktls_file_requests_total{result="headers"} 17',
  'fastify_ktls_sender_threads 2',
  'fastify_ktls_sender_cpu_seconds_total 1.25',
  'fastify_ktls_sender_waiting 3',
  'fastify_ktls_kernel_sockets_open{encryption="software"} 1',
  'fastify_ktls_kernel_sockets_open{encryption="device"} 2',
  'fastify_ktls_kernel_sockets_total{encryption="software"} 3',
  'fastify_ktls_kernel_sockets_total{encryption="device"} 4',
  'fastify_ktls_kernel_key_updates_total{result="updated"} 10',
  'fastify_ktls_kernel_key_updates_total{result="failed"} 11'
]

/** As much of an instance as the metrics look at; `asked` counts the looks at its counters. */
function instance (stats: Partial<Stats> = {}, backends: readonly Backend[] = ['kernel', 'threads', 'plain']) {
  const state = { stats: { ...STATS, ...stats }, asked: 0 }
  const ktls = {
    support: { backends },
    stats: () => {
      state.asked++
      return state.stats
    }
  } as unknown as FastifyKtls
  return { state, fastify: { ktls } }
}

async function scrape (registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split('\n').filter(line => line !== '' && !line.startsWith('#'))
}

t.test('every counter has its metric', async t => {
  const registry = new Registry()
  collectKtlsMetrics(instance().fastify, registry)
  t.strictSame(await scrape(registry), SAMPLES)
})

t.test('names and types follow the conventions', async t => {
  const registry = new Registry()
  collectKtlsMetrics(instance().fastify, registry)
  for (const { name, type, help } of await registry.getMetricsAsJSON()) {
    t.match(name, /^fastify_ktls_[a-z_]+$/)
    t.equal(name.endsWith('_total'), String(type) === 'counter', `${name} is a ${String(type)}`)
    t.ok(help.length > 10)
  }
})

t.test('the documentation has each with its labels and type, and queries no others', async t => {
  const registry = new Registry()
  collectKtlsMetrics(instance().fastify, registry)
  const page = 'docs/metrics-and-events.md'
  const metrics = await registry.getMetricsAsJSON()
  const labelled = metrics.map(({ name, type, values: [value] }) => {
    const labels = Object.keys(value!.labels).join()
    return [labels === '' ? name : `${name}{${labels}}`, String(type)]
  })
  t.strictSame(rowsOf(page).filter(([name]) => name!.startsWith('fastify_ktls_')).map(([name, type]) => [name, type]), labelled)
  const queries = blocksOf(page).filter(({ language }) => language === 'promql').map(({ code }) => code).join('')
  const names = new Set(metrics.map(({ name }) => name))
  const queried = queries.match(/fastify_ktls_\w+/g)!
  t.ok(queried.length > 5)
  t.strictSame(queried.filter(name => !names.has(name)), [])
})

t.test('each scrape shows the counters as they are, of one moment', async t => {
  const registry = new Registry()
  const { fastify, state } = instance()
  collectKtlsMetrics(fastify, registry)
  for (let i = 1; i <= 3; i++) {
    t.strictSame(await scrape(registry), SAMPLES)
    t.equal(state.asked, i)
  }
  state.stats = { ...STATS, replies: { ...STATS.replies, node: 100 }, fallbacks: { ...STATS.fallbacks, 'no-body': 1 } }
  const later = await scrape(registry)
  t.ok(later.includes('fastify_ktls_replies_total{path="node",backend="none"} 100'))
  t.ok(later.includes('fastify_ktls_fallbacks_total{reason="no-body"} 1'))
})

t.test('where kernel TLS is missing, and where the addon is', async t => {
  const [without, nothing] = [new Registry(), new Registry()]
  collectKtlsMetrics(instance({ kernel: null }, ['threads', 'plain']).fastify, without)
  t.strictSame(await scrape(without), [
    'fastify_ktls_available{backend="kernel"} 0',
    ...SAMPLES.slice(1).filter(line => !line.includes('_kernel_'))
  ])
  collectKtlsMetrics(instance({ kernel: null, senders: null }, []).fastify, nothing)
  t.strictSame(await scrape(nothing), [
    'fastify_ktls_available{backend="kernel"} 0',
    'fastify_ktls_available{backend="threads"} 0',
    'fastify_ktls_available{backend="plain"} 0',
    ...SAMPLES.slice(3).filter(line => !/_kernel_|_sender_/.test(line))
  ])
})

t.test('no samples before the plugin has loaded', async t => {
  const registry = new Registry()
  const app: Partial<ReturnType<typeof instance>['fastify']> = {}
  collectKtlsMetrics(app, registry)
  t.strictSame(await scrape(registry), [])
  Object.assign(app, instance().fastify)
  t.strictSame(await scrape(registry), SAMPLES)
})

t.test("a cluster's workers: ours are added up, the kernel's are the same for all", async t => {
  const workers = [new Registry(), new Registry()]
  for (const registry of workers) collectKtlsMetrics(instance().fastify, registry)
  const together = await scrape(AggregatorRegistry.aggregate(await Promise.all(workers.map(worker => worker.getMetricsAsJSON()))))
  t.ok(together.includes('fastify_ktls_connections_open 14'))
  t.ok(together.includes('fastify_ktls_available{backend="kernel"} 1'))
  t.ok(together.includes('fastify_ktls_sender_cpu_seconds_total 2.5'))
  t.ok(together.includes('fastify_ktls_kernel_sockets_total{encryption="software"} 3'))
})
