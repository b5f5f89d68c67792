import type { FastifyStaticOptions } from '@fastify/static'
import type { FastifyPluginAsync } from 'fastify'

/**
 * Takes the place of `@fastify/static`, which it registers beneath itself, with the same
 * options, routes, decorators and answers. What is asked for a third time and later is
 * answered from a file that is kept open, for as long as the file and each folder on the
 * way to it are unchanged (README, "Small files: kept open": of @fastify/static 10 and later, and where
 * an answer depends on its file alone).
 *
 * Registration fails with `FST_KTLS_STATIC_MISSING` where @fastify/static is not installed.
 */
declare const fastifyKtlsStatic: FastifyPluginAsync<FastifyStaticOptions> & { readonly default: FastifyPluginAsync<FastifyStaticOptions> }

export = fastifyKtlsStatic
