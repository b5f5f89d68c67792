import Fastify from 'fastify'
import { Registry } from 'prom-client'
import type { OpenMetricsContentType } from 'prom-client'
import { expect, test } from 'tstyche'
import 'fastify-ktls'
import { collectKtlsMetrics } from 'fastify-ktls/metrics'

test('an instance and a registry', () => {
  expect(collectKtlsMetrics).type.toBeCallableWith(Fastify())
  expect(collectKtlsMetrics).type.toBeCallableWith(Fastify({ https: {} }), new Registry())
  expect(collectKtlsMetrics).type.toBeCallableWith(Fastify({ http2: true }), new Registry<OpenMetricsContentType>())
  expect(collectKtlsMetrics).type.not.toBeCallableWith()
  expect(collectKtlsMetrics).type.not.toBeCallableWith(Fastify(), {})
})
