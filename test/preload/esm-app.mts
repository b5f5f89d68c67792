/* The same application as an ES module. */
import fastify from 'fastify'
import { main } from './app.js'

main(() => fastify)
