import { randomBytes, timingSafeEqual } from 'node:crypto'
import fastifyStatic from '@fastify/static'
import fastify from 'fastify'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fastifyKtls from 'fastify-ktls'
import { serve } from './serve'
import type { ExampleOptions } from './serve'

export interface DownloadsOptions extends ExampleOptions {
  /** What the clients must send as `Authorization: Bearer TOKEN`. */
  readonly token: string
}

/** Files for those who may have them: hooks run before any byte is sent, as without the plugin. */
export async function createApp ({ https, root, token }: DownloadsOptions) {
  const app = fastify({ https })
  await app.register(fastifyKtls)
  // Without routes of its own, only for reply.download().
  await app.register(fastifyStatic, { root, serve: false })

  const expected = Buffer.from(token)
  const authenticate = async (request: FastifyRequest, reply: FastifyReply) => {
    // The scheme's name is the same in any case (RFC 9110 11.1).
    const given = Buffer.from(/^bearer +(.*)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '')
    if (given.length === expected.length && timingSafeEqual(given, expected)) return
    reply.header('www-authenticate', 'Bearer')
    return reply.code(401).send({ error: 'Unauthorized' })
  }

  app.get<{ Params: { name: string } }>('/downloads/:name', { preHandler: authenticate }, (request, reply) => {
    return reply.download(request.params.name)
  })
  return app
}

const SHOWS = `Files below /downloads/, only for those who send a token, which is made at the start; what
to type is in the last line that it prints.`

async function main (): Promise<void> {
  const token = randomBytes(16).toString('hex')
  const origin = await serve(options => createApp({ ...options, token }), SHOWS)
  console.log(`curl --insecure --header "Authorization: Bearer ${token}" --output 10MB.bin ${origin}/downloads/10MB.bin`)
}

if (require.main === module) main()
