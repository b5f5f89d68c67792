import Fastify from 'fastify'
import type { FastifyPluginAsync } from 'fastify'
import { expect, test } from 'tstyche'
import type { FastifyStaticOptions } from '@fastify/static'
import fastifyKtlsStatic from 'fastify-ktls/static'

test('the options of @fastify/static, and its decorators', () => {
  const fastify = Fastify()
  expect(fastify.register).type.toBeCallableWith(fastifyKtlsStatic, { root: '/srv', preCompressed: true })
  expect(fastify.register).type.not.toBeCallableWith(fastifyKtlsStatic, { root: 1 })
  expect(fastifyKtlsStatic).type.toBeAssignableTo<FastifyPluginAsync<FastifyStaticOptions>>()
  fastify.get('/', (_request, reply) => reply.sendFile('name'))
})
