import { subscribe } from 'node:diagnostics_channel'
import type { FastifyInstance } from 'fastify'

/*
 * Loaded before an application (`node --require fastify-ktls/register app.js`): puts the plugin into each Fastify instance of
 * the process. Nothing more is loaded before there is one.
 */

/** Fastify publishes each new instance here, at the end of its factory (seen in 4.29 and in 5.0 to 5.12). */
subscribe('fastify.initialization', message => {
  const { fastify } = message as { fastify: FastifyInstance }
  // What a subscriber throws ends the process.
  try {
    const { preload } = require('./preload') as typeof import('./preload')
    preload(fastify)
  } catch (error) {
    fastify.log.warn({ err: error }, 'fastify-ktls/register: this Fastify instance is left alone, as the plugin cannot be put into it')
  }
})
