import Fastify from 'fastify'
import { expect, test } from 'tstyche'
import type { FastifyKtls, ReplyDecision } from 'fastify-ktls'
import 'fastify-ktls/register'

test('the decorators', () => {
  const fastify = Fastify()
  expect(fastify.ktls).type.toBe<FastifyKtls>()
  fastify.get('/', async request => { expect(request.ktls).type.toBe<ReplyDecision>() })
})
