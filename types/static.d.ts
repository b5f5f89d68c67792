import type { FastifyStaticOptions } from '@fastify/static'
import type { FastifyPluginAsync } from 'fastify'

/**
 * Takes the place of `@fastify/static`, which it registers beneath itself, with the same
 * options, routes, decorators and answers. What has been asked for two or three times is then
 * answered from a file that is kept open, for as long as everything that the answer depends
 * on is unchanged (docs/static.md; of @fastify/static 10).
 *
 * Registration fails with `FST_KTLS_STATIC_MISSING` where @fastify/static is not installed.
 */
declare const fastifyKtlsStatic: FastifyPluginAsync<FastifyStaticOptions> & { readonly default: FastifyPluginAsync<FastifyStaticOptions> }

export = fastifyKtlsStatic
