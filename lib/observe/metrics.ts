import { Counter, Gauge, register } from 'prom-client'
import type { Aggregator } from 'prom-client'
import type { Backend, FastifyKtls, KernelCounters, PathCounts, SenderFigures, Stats, Support } from '../../types/index'
import type { collectKtlsMetrics as CollectKtlsMetrics } from '../../types/metrics'

interface Scrape {
  readonly support: Support
  readonly stats: Stats
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

interface Definition {
  readonly type: typeof Counter | typeof Gauge
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  /** What a cluster makes of its workers' values. */
  readonly aggregator: Aggregator
  read (scrape: Scrape): Sample[]
}

const BACKENDS: readonly Backend[] = ['kernel', 'threads', 'plain']

/** https://prometheus.io/docs/practices/naming/ */
const DEFINITIONS: readonly Definition[] = [
  {
    type: Gauge,
    name: 'fastify_ktls_available',
    help: 'Whether this machine and runtime can use a backend: 1 or 0',
    labels: ['backend'],
    aggregator: 'min',
    read: ({ support }) => BACKENDS.map(backend => ({ labels: { backend }, value: Number(support.backends.includes(backend)) }))
  },
  ours(Counter, 'connections_total', 'Connections accepted', ({ stats }) => stats.connections.seen),
  labelled('connections_promoted_total', 'Connections whose transmit side went to a backend', 'backend', ({ stats }) => stats.connections.promoted),
  ours(Gauge, 'connections_open', 'Connections open now', ({ stats }) => stats.connections.open),
  ours(Counter, 'key_updates_total', 'Transmit keys of promoted connections that were changed', ({ stats }) => stats.keys.updated),
  ours(Counter, 'keys_used_up_total', 'Transmit keys that could not be changed, so that the connection was ended', ({ stats }) => stats.keys.usedUp),
  paths('replies_total', 'Replies by the path of their body and by who seals them', ({ stats }) => stats.replies),
  paths('bytes_total', 'Bytes of plaintext sent, by path and by who sends them', ({ stats }) => stats.bytes),
  labelled('fallbacks_total', 'Replies that did not go by path "file", by reason', 'reason', ({ stats }) => stats.fallbacks),
  ours(Gauge, 'files_open', 'Files that fastify-ktls/static keeps open', ({ stats }) => stats.files.open),
  labelled('file_requests_total', 'Requests to fastify-ktls/static, by whether a kept file answered, or why not', 'result', ({ stats: { files } }) => ({ hit: files.hits, ...files.misses })),
  senders(Gauge, 'threads', 'Sender threads of this process', figures => figures.threads),
  senders(Counter, 'cpu_seconds_total', 'Processor time that sender threads have used, in user and system mode', figures => figures.cpuSeconds),
  senders(Gauge, 'waiting', 'Connections that have something to send and wait for a sender thread', figures => figures.waiting),
  kernels(Gauge, 'sockets_open', 'Sockets of this network namespace with a transmit key in the kernel now, by who encrypts', 'encryption', kernel => kernel.open),
  kernels(Counter, 'sockets_total', 'Sockets of this network namespace that were given a transmit key, by who encrypts', 'encryption', kernel => kernel.promoted),
  kernels(Counter, 'key_updates_total', 'Changes of transmit keys in this network namespace, by result', 'result', kernel => kernel.keys)
]

function ours (type: Definition['type'], name: string, help: string, read: (scrape: Scrape) => number): Definition {
  return { type, name: `fastify_ktls_${name}`, help, labels: [], aggregator: 'sum', read: scrape => [{ labels: {}, value: read(scrape) }] }
}

function labelled (name: string, help: string, label: string, read: (scrape: Scrape) => Readonly<Record<string, number>>): Definition {
  return { type: Counter, name: `fastify_ktls_${name}`, help, labels: [label], aggregator: 'sum', read: scrape => samples(label, read(scrape)) }
}

/** What Node writes without a backend is labelled "none": an empty label is none to Prometheus. */
function paths (name: string, help: string, read: (scrape: Scrape) => PathCounts): Definition {
  return {
    type: Counter,
    name: `fastify_ktls_${name}`,
    help,
    labels: ['path', 'backend'],
    aggregator: 'sum',
    read (scrape) {
      const { node, ...sealed } = read(scrape)
      const samples: Sample[] = Object.entries(sealed).flatMap(([path, counts]) =>
        Object.entries(counts).map(([backend, value]) => ({ labels: { path, backend }, value })))
      return [...samples, { labels: { path: 'node', backend: 'none' }, value: node }]
    }
  }
}

/** Each worker of a cluster is a process, with senders of its own. */
function senders (type: Definition['type'], name: string, help: string, read: (figures: SenderFigures) => number): Definition {
  return {
    type,
    name: `fastify_ktls_sender_${name}`,
    help,
    labels: [],
    aggregator: 'sum',
    read: ({ stats: { senders } }) => senders === null ? [] : [{ labels: {}, value: read(senders) }]
  }
}

/** The workers of a cluster see the same counters of the kernel. */
function kernels (type: Definition['type'], name: string, help: string, label: string, read: (kernel: KernelCounters) => Readonly<Record<string, number>>): Definition {
  return {
    type,
    name: `fastify_ktls_kernel_${name}`,
    help,
    labels: [label],
    aggregator: 'max',
    read: ({ stats: { kernel } }) => kernel === null ? [] : samples(label, read(kernel))
  }
}

function samples (label: string, values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }))
}

export const collectKtlsMetrics: typeof CollectKtlsMetrics = (fastify, registry = register) => {
  const scrape = oncePerScrape(fastify)
  for (const { type: Metric, name, help, labels: labelNames, aggregator, read } of DEFINITIONS) {
    registry.registerMetric(new Metric({
      name,
      help,
      labelNames: [...labelNames],
      aggregator,
      registers: [],
      collect () {
        // The plugin counts: each scrape shows its counters as they are.
        this.reset()
        const current = scrape()
        const samples = current === undefined ? [] : read(current)
        // A metric without labels begins with a sample of 0.
        if (samples.length === 0) return this.remove({})
        for (const { labels, value } of samples) this.inc(labels, value)
      }
    }))
  }
}

/** A registry asks all its metrics in one go, and they should be of one moment. */
function oncePerScrape (fastify: { readonly ktls?: FastifyKtls }): () => Scrape | undefined {
  let current: Scrape | undefined
  return () => {
    const { ktls } = fastify
    if (ktls === undefined || current !== undefined) return current
    current = { support: ktls.support, stats: ktls.stats() }
    queueMicrotask(() => { current = undefined })
    return current
  }
}
