import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { FastifyKtlsOptions } from '../types/index'
import { FST_KTLS_ALREADY_REGISTERED } from './errors'
import { Installation } from './installation'
import { handIn, isInstalled } from './installed'
import { parseOptions } from './options'
import { declareDecision } from './reply/decisions'
import { asOwnHook } from './reply/unseen'

const plugin: FastifyPluginAsync<FastifyKtlsOptions> = async (fastify, options) => {
  const settings = parseOptions({ ...options })
  if (isInstalled(fastify)) throw new FST_KTLS_ALREADY_REGISTERED()
  const installation = new Installation(fastify, settings)
  declareDecision(fastify)
  const hand = handIn(fastify)
  if (hand === undefined) {
    fastify.decorateRequest('ktls', { getter (this: FastifyRequest) { return installation.decisionOf(this) } })
    fastify.decorate('ktls', installation.ktls)
  } else {
    hand(fastify, installation)
  }
  installation.start()
  addHooks(fastify, installation)
}

function addHooks (fastify: FastifyInstance, installation: Installation): void {
  const { hooks } = installation
  if (hooks === undefined) return
  fastify.addHook('onRequest', hooks.onRequest)
  fastify.addHook('onSend', asOwnHook(hooks.onSend))
  fastify.addHook('preClose', done => {
    installation.preClose()
    done()
  })
  fastify.addHook('onClose', (_instance, done) => {
    installation.close()
    done()
  })
}

const fastifyKtls = fp(plugin, { fastify: '5.x', name: 'fastify-ktls' })

// By this Node knows before it runs the file what a module can import by name.
module.exports.fastifyKtls = fastifyKtls
export = Object.assign(fastifyKtls, { default: fastifyKtls, fastifyKtls })
