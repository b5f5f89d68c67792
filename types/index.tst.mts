import Fastify from 'fastify'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { expect, test } from 'tstyche'
import defaultExport, { fastifyKtls } from 'fastify-ktls'
import type { Backend, ChannelMessages, FallbackReason, FastifyKtls, FastifyKtlsOptions, KernelCounters, Path, ReplyDecision, SenderFigures, Stats, Support } from 'fastify-ktls'

const app = Fastify()

test('the plugin registers by each of its names', () => {
  expect(app.register).type.toBeCallableWith(defaultExport)
  expect(app.register).type.toBeCallableWith(defaultExport.default)
  expect(app.register).type.toBeCallableWith(fastifyKtls, { mode: 'require', backends: ['kernel'], minSize: 1 })
  expect(fastifyKtls).type.toBe<FastifyPluginAsync<FastifyKtlsOptions>>()
})

test('options', () => {
  expect<FastifyKtlsOptions>().type.toBeAssignableFrom({})
  expect<FastifyKtlsOptions>().type.toBeAssignableFrom({ mode: 'off' as const })
  expect<FastifyKtlsOptions>().type.not.toBeAssignableFrom({ mode: 'on' })
  expect<FastifyKtlsOptions>().type.not.toBeAssignableFrom({ minSize: '16k' })
  expect<FastifyKtlsOptions>().type.toBeAssignableFrom({ backends: ['threads', 'kernel'] as const })
  expect<FastifyKtlsOptions>().type.not.toBeAssignableFrom({ backends: ['plain'] })
  expect<FastifyKtlsOptions>().type.not.toBeAssignableFrom({ backends: 'kernel' })
  expect(app.register).type.not.toBeCallableWith(fastifyKtls, { minsize: 1 })
})

test('decorators of the instance', () => {
  expect(app.ktls).type.toBe<FastifyKtls>()
  expect(app.ktls.support).type.toBe<Support>()
  expect(app.ktls.support.versions['TLSv1.3']['aes-256-gcm']).type.toBe<boolean>()
  expect(app.ktls.stats()).type.toBe<Stats>()
  expect(app.ktls.support.backends).type.toBe<readonly Backend[]>()
  expect(app.ktls.stats().connections.promoted.threads).type.toBe<number>()
  expect(app.ktls.stats().replies.file.kernel).type.toBe<number>()
  expect(app.ktls.stats().bytes.node).type.toBe<number>()
  expect(app.ktls.stats().senders).type.toBe<SenderFigures | null>()
  expect(app.ktls.stats().fallbacks['too-small']).type.toBe<number | undefined>()
  expect(app.ktls.stats().kernel).type.toBe<KernelCounters | null>()
})

test('decorators of the request', () => {
  app.get('/', async request => {
    expect(request.ktls).type.toBe<ReplyDecision>()
    expect(request.ktls.path).type.toBe<Path | null>()
    expect(request.ktls.backend).type.toBe<Backend | null>()
    expect(request.ktls.reason).type.toBe<FallbackReason | 'pending' | null>()
  })
})

test('opting a route out', () => {
  app.get('/out', { config: { ktls: false } }, async () => 'by Node')
  expect(app.get).type.not.toBeCallableWith('/out', { config: { ktls: 'no' } }, async () => 'by Node')
})

test('messages of the channels', () => {
  expect<keyof ChannelMessages>().type.toBeAssignableFrom('fastify-ktls.connection.promoted')
  expect<ChannelMessages['fastify-ktls.connection.promoted']['backend']>().type.toBe<Backend>()
  expect<ChannelMessages['fastify-ktls.reply.fallback']['path']>().type.toBe<'write' | 'node'>()
  expect<ChannelMessages['fastify-ktls.transfer.started']['backend']>().type.toBe<Backend>()
  expect<ChannelMessages['fastify-ktls.reply.fallback']['reason']>().type.toBe<FallbackReason>()
  expect<ChannelMessages['fastify-ktls.transfer.aborted']['error']>().type.toBe<Error | null>()
  expect<ChannelMessages['fastify-ktls.transfer.finished']['request']>().type.toBe<FastifyRequest>()
})
