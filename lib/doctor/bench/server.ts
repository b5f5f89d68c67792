/*
 * The server's process. It ends when the measuring process does.
 */
import { createReadStream } from 'node:fs'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type fastifyKtls from '../../../types/index'
import { messageOf } from '../message'
import type { Answer, Request, Settings } from './messages'

let app: FastifyInstance | undefined

async function start ({ name, certificate, file }: Settings): Promise<Answer> {
  // Here, so that its absence is an answer.
  const { fastify } = require('fastify') as typeof import('fastify')
  app = fastify({ https: certificate }) as unknown as FastifyInstance
  if (name !== 'default') await app.register(require('../../index') as typeof fastifyKtls, { backends: [name] })
  app.get('/', (_request, reply) => reply.type('application/octet-stream').send(createReadStream(file)))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { type: 'listening', port: (app.server.address() as AddressInfo).port }
}

function usage (): Answer {
  const { user, system } = process.cpuUsage()
  const { ktls } = app as { ktls?: FastifyInstance['ktls'] }
  return { type: 'usage', usage: { cpu: user + system, offloaded: ktls?.stats().replies.file ?? { kernel: 0, threads: 0 } } }
}

process.on('message', (request: Request) => {
  const answer = request.type === 'start' ? start(request.settings) : Promise.resolve(usage())
  answer.catch((error: unknown): Answer => ({ type: 'failed', message: messageOf(error) })).then(answer => process.send!(answer))
})
process.once('disconnect', () => process.exit())
