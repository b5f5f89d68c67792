import { createReadStream, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { FastifyKtlsOptions, Path } from '../../types/index'
import { makeFile, makeFolder } from './files'
import { request } from './request'
import type { Response } from './request'
import type { TestServer } from './server'
import { serveFolder } from './static'

const SIZE = 200_000

export interface ReplyCase {
  readonly name: string
  readonly url: string
  readonly method?: string
  readonly headers?: Record<string, string>
  /** The path that the plugin takes where the kernel can, with `minSize: 1`, on a connection of its own. */
  readonly path: Path
}

/** Every kind of reply that a server gives. */
export const REPLIES: readonly ReplyCase[] = [
  { name: 'a whole file', url: '/file.bin', path: 'file' },
  { name: 'first byte', url: '/file.bin', headers: { range: 'bytes=0-0' }, path: 'file' },
  { name: 'middle', url: '/file.bin', headers: { range: 'bytes=70001-150000' }, path: 'file' },
  { name: 'last byte', url: '/file.bin', headers: { range: `bytes=${SIZE - 1}-${SIZE - 1}` }, path: 'file' },
  { name: 'open range', url: '/file.bin', headers: { range: 'bytes=199000-' }, path: 'file' },
  { name: 'suffix', url: '/file.bin', headers: { range: 'bytes=-5000' }, path: 'file' },
  { name: 'a range beyond the end', url: '/file.bin', headers: { range: 'bytes=190000-900000' }, path: 'file' },
  { name: 'unsatisfiable', url: '/file.bin', headers: { range: `bytes=${SIZE}-` }, path: 'node' },
  { name: 'several ranges', url: '/file.bin', headers: { range: 'bytes=0-9,100-109' }, path: 'file' },
  { name: 'HEAD', url: '/file.bin', method: 'HEAD', path: 'node' },
  { name: '304 by entity tag', url: '/file.bin', headers: { 'if-none-match': '*' }, path: 'node' },
  { name: '304 by date', url: '/file.bin', headers: { 'if-modified-since': 'Fri, 31 Dec 2100 23:59:59 GMT' }, path: 'node' },
  { name: 'an empty file', url: '/empty.bin', path: 'node' },
  { name: 'a file that is not there', url: '/none.bin', path: 'node' },
  { name: 'reply.sendFile', url: '/send', path: 'file' },
  { name: 'reply.download', url: '/download', path: 'file' },
  { name: 'createReadStream', url: '/stream', path: 'file' },
  { name: 'createReadStream with start and end', url: '/stream?start=100&end=99999', path: 'file' },
  { name: 'createReadStream with end alone', url: '/stream?end=4999', path: 'file' },
  { name: 'createReadStream with start alone', url: '/stream?start=5000', path: 'file' },
  { name: 'createReadStream with start beyond the end', url: '/stream?start=900000', path: 'node' },
  { name: 'createReadStream with its own Content-Length', url: '/length', path: 'file' },
  { name: 'createReadStream over an fd with start', url: '/fd?start=1000', path: 'file' },
  { name: 'createReadStream over an fd, read from its position', url: '/fd', path: 'file' },
  { name: 'createReadStream over a FileHandle', url: '/handle', path: 'file' },
  { name: 'createReadStream with an encoding', url: '/encoded', path: 'node' },
  { name: 'createReadStream of a file that is gone', url: '/gone', path: 'node' },
  { name: 'a stream from a handler with status 206', url: '/partial', path: 'file' },
  { name: 'Connection: close', url: '/file.bin', headers: { connection: 'close' }, path: 'file' },
  { name: 'a route that opted out', url: '/opted-out', path: 'node' },
  { name: 'a file of /proc', url: '/proc', path: 'node' },
  { name: 'JSON', url: '/json', path: 'node' },
  { name: 'a text', url: '/text', path: 'node' },
  { name: 'a buffer', url: '/buffer', path: 'node' },
  { name: 'nothing', url: '/nothing', path: 'node' },
  { name: 'a stream of another kind', url: '/other-stream', path: 'node' },
  { name: 'an error', url: '/error', path: 'node' },
  { name: 'no such route', url: '/no/such/route', path: 'node' }
]

function routes (app: FastifyInstance, folder: string): void {
  const path = join(folder, 'file.bin')
  const range = (query: unknown) => Object.fromEntries(Object.entries(query as Record<string, string>).map(([name, value]) => [name, Number(value)]))
  app.get('/send', (_request, reply) => reply.sendFile('file.bin'))
  app.get('/download', (_request, reply) => reply.download('file.bin', 'other name.bin'))
  app.get('/stream', (request, reply) => reply.send(createReadStream(path, range(request.query))))
  app.get('/length', (_request, reply) => reply.header('content-length', SIZE).type('text/plain').send(createReadStream(path)))
  app.get('/fd', (request, reply) => reply.send(createReadStream('', { fd: openSync(path, 'r'), ...range(request.query) })))
  app.get('/handle', async (_request, reply) => reply.send((await open(path)).createReadStream()))
  app.get('/encoded', (_request, reply) => reply.send(createReadStream(path, 'latin1')))
  app.get('/gone', (_request, reply) => reply.send(createReadStream(join(folder, 'gone'))))
  app.get('/partial', (_request, reply) => reply.code(206).send(createReadStream(path)))
  app.get('/opted-out', { config: { ktls: false } }, (_request, reply) => reply.send(createReadStream(path)))
  app.get('/proc', (_request, reply) => reply.send(createReadStream('/proc/sys/kernel/ostype')))
  app.get('/json', async () => ({ hello: 'world' }))
  app.get('/text', async () => 'text '.repeat(10_000))
  app.get('/buffer', async () => Buffer.alloc(50_000, 'buffer'))
  app.get('/nothing', (_request, reply) => reply.code(204).send())
  app.get('/other-stream', (_request, reply) => reply.send(Readable.from(['one', 'two', 'x'.repeat(70_000)])))
  app.get('/error', async () => { throw new Error('as planned') })
}

/** A server of every kind of reply; without options it does not have the plugin. */
function serveReplies (t: Tap.Test, folder: string, options?: FastifyKtlsOptions): Promise<TestServer> {
  return serveFolder(t, folder, { ...(options && { ktls: options }), setup: app => routes(app, folder) })
}

export interface Comparison {
  readonly replyCase: ReplyCase
  readonly expected: Response
  readonly got: Response
  /** The server that has the plugin. */
  readonly tested: TestServer
}

/**
 * Has every kind of reply sent with and without the plugin, each on a
 * connection of its own and in a subtest. Returns the server with the plugin.
 */
export async function compareReplies (t: Tap.Test, options: FastifyKtlsOptions, compare: (t: Tap.Test, comparison: Comparison) => Promise<void> | void): Promise<TestServer> {
  const folder = makeFolder(t)
  makeFile(folder, SIZE, 'file.bin')
  makeFile(folder, 0, 'empty.bin')
  const plain = await serveReplies(t, folder)
  const tested = await serveReplies(t, folder, options)
  for (const replyCase of REPLIES) {
    const { name, url, method = 'GET', headers = {} } = replyCase
    await t.test(name, async (t: Tap.Test) => {
      const expected = await request(plain.origin + url, { method, headers })
      const got = await request(tested.origin + url, { method, headers })
      await compare(t, { replyCase, expected, got, tested })
    })
  }
  return tested
}

/** What a client can tell apart; the plugin may replace chunks by a Content-Length. */
export function visible ({ status, headers, sha256, body }: Response): object {
  const { date, 'transfer-encoding': _chunked, ...rest } = headers
  return { status, sha256, headers: { 'content-length': String(body.length), ...rest } }
}
