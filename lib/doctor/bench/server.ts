/*
 * The server's process. It ends when the measuring process does.
 */
import { createReadStream } from 'node:fs'
import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import type fastifyKtls from '../../../types/index'
import type { Answer, Request, Settings } from './messages'

let app: FastifyInstance | undefined
let replies = 0

async function start ({ certificate, file, plugin }: Settings): Promise<Answer> {
  app = fastify({ https: certificate }) as unknown as FastifyInstance
  if (plugin) await app.register(require('../../index') as typeof fastifyKtls)
  app.get('/', (_request, reply) => {
    replies++
    return reply.type('application/octet-stream').send(createReadStream(file))
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { type: 'listening', port: (app.server.address() as AddressInfo).port }
}

function usage (): Answer {
  const { user, system } = process.cpuUsage()
  const { ktls } = app as { ktls?: FastifyInstance['ktls'] }
  return { type: 'usage', usage: { cpu: user + system, replies, offloaded: ktls?.stats().replies.file ?? { kernel: 0, threads: 0 } } }
}

process.on('message', (request: Request) => {
  const answer = request.type === 'start' ? start(request.settings) : Promise.resolve(usage())
  answer.then(message => process.send!(message), (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  })
})
process.once('disconnect', () => process.exit())
