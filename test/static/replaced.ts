/* In a copy of @fastify/static: its export becomes ours, over the one that it was. */
import type { FastifyStaticOptions } from '@fastify/static'
import type { FastifyPluginAsync } from 'fastify'
import keepingStatic from '../../lib/static/index'

const installed = require.resolve('@fastify/static')
require(installed)

/** Each evaluation of the copy has an export of its own, as some tests put others in the place of what it requires. */
export function replaced (original: { errors: unknown }): unknown {
  const plugin: FastifyPluginAsync<FastifyStaticOptions> = (instance, options) => {
    // It is required at the call.
    require.cache[installed]!.exports = original
    return keepingStatic(instance, options)
  }
  return Object.assign(plugin, keepingStatic, { default: plugin, fastifyStatic: plugin, errors: original.errors })
}
