import { readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import fastify from 'fastify'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fastifyKtls from 'fastify-ktls'
import fastifyKtlsStatic from 'fastify-ktls/static'
import { dashboard } from '../dashboard/dashboard'
import { sourceFolder } from '../sources'
import { LARGE } from './materials'
import type { Place, ReplyReport } from './reports'

/** Replies that `/recent` remembers. */
const REMEMBERED = 100

export interface AppOptions {
  /** A folder with `key.pem` and `cert.pem`. */
  readonly certificate: string
  /** The folder that is served below `/files/`. */
  readonly files: string
  readonly place: Place
  readonly onReply: (report: ReplyReport) => void
}

/** A page, a folder of files, and what became of the last replies. */
export async function createApp (options: AppOptions) {
  const { certificate, files, place, onReply } = options
  const key = await readFile(join(certificate, 'key.pem'))
  const cert = await readFile(join(certificate, 'cert.pem'))
  const app = fastify({ https: { key, cert }, forceCloseConnections: true })
  await app.register(fastifyKtls)
  await app.register(fastifyKtlsStatic, { root: files, prefix: '/files/' })

  const recent: ReplyReport[] = []
  app.addHook('onRequest', (request, reply, next) => {
    // The pages ask again and again.
    if (request.url.startsWith('/dashboard/') || request.url === '/recent') return next()
    const began = performance.now()
    // onResponse is not called for a client that leaves in the middle.
    reply.raw.once('close', () => {
      const report = describe(request, reply, Math.round(performance.now() - began))
      recent.push(report)
      if (recent.length > REMEMBERED) recent.shift()
      onReply(report)
    })
    next()
  })

  app.get('/', (_request, reply) => reply.sendFile('page.html', sourceFolder('start')))
  app.get('/recent', async () => recent)
  app.get('/about', async () => {
    const { kernel, detail } = app.ktls.support
    return { place, kernel, detail, files: await list(files) }
  })
  dashboard(app, { files, large: LARGE, emulated: place === 'guest' })
  return app
}

async function list (folder: string) {
  const files = await Promise.all((await readdir(folder)).map(async name => ({ name, size: (await stat(join(folder, name))).size })))
  return files.sort((one, other) => one.size - other.size)
}

function describe (request: FastifyRequest, reply: FastifyReply, milliseconds: number): ReplyReport {
  const { path, backend, reason, version, cipher } = request.ktls
  return {
    method: request.method,
    url: request.url,
    status: reply.statusCode,
    complete: reply.raw.writableFinished,
    bytes: request.method === 'HEAD' ? 0 : Number(reply.getHeader('content-length') ?? 0),
    path,
    backend,
    reason,
    version,
    cipher,
    milliseconds
  }
}
