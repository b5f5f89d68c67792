/*
 * A child process of protocols.test.ts: serves a file to itself, traced by OpenSSL
 * from the moment named. Prints the decision; the trace goes to the standard error.
 */
import '../double/install'
import { createReadStream } from 'node:fs'
import type { TLSSocket } from 'node:tls'
import Fastify from 'fastify'
import type { FastifyRequest } from 'fastify'
import { certificate } from '../certificate'
import { ONLY } from '../support/backend'
import { ktls } from '../support/plugin'
import { request } from '../support/request'

const [path, when] = process.argv.slice(2)

async function serve (): Promise<void> {
  const app = Fastify({ https: { ...await certificate(), ...(when === 'option' && { enableTrace: true }) }, forceCloseConnections: true })
  await app.register(ktls, ONLY)
  const trace = (socket: TLSSocket) => { socket.enableTrace() }
  if (when === 'secureConnection') app.server.on('secureConnection', trace)
  app.get('/file', (_request, reply) => reply.send(createReadStream(path!)))
  const decisions: unknown[] = []
  const decided = new Promise<void>(resolve => {
    app.addHook('onResponse', (request: FastifyRequest, _reply, done) => {
      decisions.push(request.ktls)
      if (when === 'onResponse') trace(request.raw.socket as TLSSocket)
      done()
      resolve()
    })
  })
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  await request(`${origin}/file`)
  await decided
  await app.close()
  process.stdout.write(JSON.stringify(decisions))
}

serve()
