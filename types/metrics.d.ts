import type { Registry, RegistryContentType } from 'prom-client'
import type { FastifyKtls } from './index'

/**
 * Adds what `fastify.ktls.stats()` counts to a registry of prom-client;
 * docs/metrics-and-events.md lists the metrics. The label `backend` is `kernel` or `threads`, and `none` for what
 * goes by path `node`. The counters are read at each scrape, so that this may be called
 * before the plugin has loaded: until then the metrics have no samples.
 *
 * @param fastify The instance that the plugin is registered on.
 * @param registry One that has no metrics of another instance; prom-client throws
 * where it has.
 * @defaultValue `registry` prom-client's global one
 */
export declare function collectKtlsMetrics (
  fastify: { readonly ktls?: FastifyKtls },
  registry?: Registry<RegistryContentType>
): void
