import { Counter, Gauge, register } from 'prom-client'
import type { Aggregator } from 'prom-client'
import type { FastifyKtls, KernelCounters, Stats, Support } from '../../types/index'
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
  readonly label?: string
  /** What a cluster makes of its workers' values. */
  readonly aggregator: Aggregator
  read (scrape: Scrape): Sample[]
}

/** https://prometheus.io/docs/practices/naming/ */
const DEFINITIONS: readonly Definition[] = [
  ours(Gauge, 'available', 'Whether this kernel and runtime can offload: 1 or 0', ({ support }) => Number(support.available), 'min'),
  ours(Counter, 'connections_total', 'TLS connections accepted', ({ stats }) => stats.connections.seen),
  ours(Counter, 'connections_promoted_total', 'TLS connections whose transmit side went to the kernel', ({ stats }) => stats.connections.promoted),
  ours(Gauge, 'connections_open', 'TLS connections open now', ({ stats }) => stats.connections.open),
  ours(Counter, 'key_updates_total', 'Transmit keys changed in the kernel', ({ stats }) => stats.keys.updated),
  ours(Counter, 'keys_used_up_total', 'Transmit keys that the kernel could not change, so that the connection was ended', ({ stats }) => stats.keys.usedUp),
  labelled('replies_total', 'Replies by the path of their body', 'path', ({ stats }) => stats.replies),
  labelled('bytes_total', 'Bytes of plaintext sent on TLS connections, by path', 'path', ({ stats }) => stats.bytes),
  labelled('fallbacks_total', 'Replies that did not go by sendfile, by reason', 'reason', ({ stats }) => stats.fallbacks),
  kernels(Gauge, 'sockets_open', 'Sockets of this network namespace with a transmit key in the kernel now, by who encrypts', 'encryption', kernel => kernel.open),
  kernels(Counter, 'sockets_total', 'Sockets of this network namespace that were given a transmit key, by who encrypts', 'encryption', kernel => kernel.promoted),
  kernels(Counter, 'key_updates_total', 'Changes of transmit keys in this network namespace, by result', 'result', kernel => kernel.keys)
]

function ours (type: Definition['type'], name: string, help: string, read: (scrape: Scrape) => number, aggregator: Aggregator = 'sum'): Definition {
  return { type, name: `fastify_ktls_${name}`, help, aggregator, read: scrape => [{ labels: {}, value: read(scrape) }] }
}

function labelled (name: string, help: string, label: string, read: (scrape: Scrape) => Readonly<Record<string, number>>): Definition {
  return { type: Counter, name: `fastify_ktls_${name}`, help, label, aggregator: 'sum', read: scrape => samples(label, read(scrape)) }
}

/** The workers of a cluster see the same counters of the kernel. */
function kernels (type: Definition['type'], name: string, help: string, label: string, read: (kernel: KernelCounters) => Readonly<Record<string, number>>): Definition {
  return {
    type,
    name: `fastify_ktls_kernel_${name}`,
    help,
    label,
    aggregator: 'max',
    read: ({ stats: { kernel } }) => kernel === null ? [] : samples(label, read(kernel))
  }
}

function samples (label: string, values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }))
}

export const collectKtlsMetrics: typeof CollectKtlsMetrics = (fastify, registry = register) => {
  const scrape = oncePerScrape(fastify)
  for (const { type: Metric, name, help, label, aggregator, read } of DEFINITIONS) {
    registry.registerMetric(new Metric({
      name,
      help,
      labelNames: label === undefined ? [] : [label],
      aggregator,
      registers: [],
      collect () {
        // The plugin counts: each scrape shows its counters as they are.
        this.reset()
        const current = scrape()
        if (current === undefined) return this.remove({})
        for (const { labels, value } of read(current)) this.inc(labels, value)
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
