import { createReadStream, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { FastifyKtlsOptions, Path } from '../../types/index'
import { makeFile, makeFolder } from '../support/files'
import { request } from '../support/request'
import type { Response } from '../support/request'
import { serveFolder } from '../support/static'

const SIZE = 200_000

interface Case {
  readonly name: string
  readonly url: string
  readonly method?: string
  readonly headers?: Record<string, string>
  /** The path that the plugin must take. */
  readonly path: Path
}

const CASES: readonly Case[] = [
  { name: 'a whole file', url: '/file.bin', path: 'sendfile' },
  { name: 'first byte', url: '/file.bin', headers: { range: 'bytes=0-0' }, path: 'sendfile' },
  { name: 'middle', url: '/file.bin', headers: { range: 'bytes=70001-150000' }, path: 'sendfile' },
  { name: 'last byte', url: '/file.bin', headers: { range: `bytes=${SIZE - 1}-${SIZE - 1}` }, path: 'sendfile' },
  { name: 'open range', url: '/file.bin', headers: { range: 'bytes=199000-' }, path: 'sendfile' },
  { name: 'suffix', url: '/file.bin', headers: { range: 'bytes=-5000' }, path: 'sendfile' },
  { name: 'a range beyond the end', url: '/file.bin', headers: { range: 'bytes=190000-900000' }, path: 'sendfile' },
  { name: 'unsatisfiable', url: '/file.bin', headers: { range: `bytes=${SIZE}-` }, path: 'node' },
  { name: 'several ranges', url: '/file.bin', headers: { range: 'bytes=0-9,100-109' }, path: 'sendfile' },
  { name: 'HEAD', url: '/file.bin', method: 'HEAD', path: 'node' },
  { name: 'an empty file', url: '/empty.bin', path: 'node' },
  { name: 'a file that is not there', url: '/none.bin', path: 'node' },
  { name: 'reply.sendFile', url: '/send', path: 'sendfile' },
  { name: 'reply.download', url: '/download', path: 'sendfile' },
  { name: 'createReadStream', url: '/stream', path: 'sendfile' },
  { name: 'createReadStream with start and end', url: '/stream?start=100&end=99999', path: 'sendfile' },
  { name: 'createReadStream with end alone', url: '/stream?end=4999', path: 'sendfile' },
  { name: 'createReadStream with start alone', url: '/stream?start=5000', path: 'sendfile' },
  { name: 'createReadStream with start beyond the end', url: '/stream?start=900000', path: 'node' },
  { name: 'createReadStream with its own Content-Length', url: '/length', path: 'sendfile' },
  { name: 'createReadStream over an fd with start', url: '/fd?start=1000', path: 'sendfile' },
  { name: 'createReadStream over an fd, read from its position', url: '/fd', path: 'node' },
  { name: 'createReadStream over a FileHandle', url: '/handle', path: 'node' },
  { name: 'createReadStream with an encoding', url: '/encoded', path: 'node' },
  { name: 'a stream from a handler with status 206', url: '/partial', path: 'sendfile' },
  { name: 'Connection: close', url: '/file.bin', headers: { connection: 'close' }, path: 'sendfile' },
  { name: 'a route that opted out', url: '/opted-out', path: 'node' },
  { name: 'a file of /proc', url: '/proc', path: 'node' }
]

function routes (app: FastifyInstance, path: string): void {
  const range = (query: unknown) => Object.fromEntries(Object.entries(query as Record<string, string>).map(([name, value]) => [name, Number(value)]))
  app.get('/send', (_request, reply) => reply.sendFile('file.bin'))
  app.get('/download', (_request, reply) => reply.download('file.bin', 'other name.bin'))
  app.get('/stream', (request, reply) => reply.send(createReadStream(path, range(request.query))))
  app.get('/length', (_request, reply) => reply.header('content-length', SIZE).type('text/plain').send(createReadStream(path)))
  app.get('/fd', (request, reply) => reply.send(createReadStream('', { fd: openSync(path, 'r'), ...range(request.query) })))
  app.get('/handle', async (_request, reply) => reply.send((await open(path)).createReadStream()))
  app.get('/encoded', (_request, reply) => reply.send(createReadStream(path, 'latin1')))
  app.get('/partial', (_request, reply) => reply.code(206).send(createReadStream(path)))
  app.get('/opted-out', { config: { ktls: false } }, (_request, reply) => reply.send(createReadStream(path)))
  app.get('/proc', (_request, reply) => reply.send(createReadStream('/proc/sys/kernel/ostype')))
}

/** What a client can tell apart; the plugin may replace chunks by a Content-Length. */
function visible ({ status, headers, sha256, body }: Response): object {
  const { date, 'transfer-encoding': _chunked, ...rest } = headers
  return { status, sha256, headers: { 'content-length': String(body.length), ...rest } }
}

t.test('replies are byte for byte and header for header as without the plugin', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, SIZE, 'file.bin')
  makeFile(folder, 0, 'empty.bin')
  const serve = (options?: FastifyKtlsOptions) => serveFolder(t, folder, {
    ...(options && { ktls: options }),
    setup: app => routes(app, file.path)
  })
  const plain = await serve()
  const offloaded = await serve({ minSize: 1 })

  for (const { name, url, method = 'GET', headers = {}, path } of CASES) {
    await t.test(name, async t => {
      const expected = await request(plain.origin + url, { method, headers })
      const etag = expected.headers.etag
      const got = await request(offloaded.origin + url, { method, headers })
      t.strictSame(visible(got), visible(expected))
      const [decision] = await offloaded.decisions(1)
      t.equal(decision!.path, path, `${decision!.path} ${decision!.reason}`)
      if (typeof etag === 'string' && method === 'GET' && expected.status === 200) {
        const again = { method, headers: { ...headers, 'if-none-match': etag } }
        const notModified = await request(offloaded.origin + url, again)
        t.strictSame(visible(notModified), visible(await request(plain.origin + url, again)))
        t.equal(notModified.status, 304)
        await offloaded.decisions(1)
      }
    })
  }
})
