import fs, { createReadStream, openSync } from 'node:fs'
import type { ReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import t from 'tap'
import { pipesAsNodeDoes, rangeWithin, refuseLength, refuseResponse, refuseStream } from '../../lib/reply/routing'
import type { ResponseHead } from '../../lib/reply/routing'
import type { FallbackReason } from '../../types/index'
import { makeFile, makeFolder } from '../support/files'

const { path } = makeFile(makeFolder(t), 200_000)

const opened = async (stream: ReadStream) => {
  await once(stream, 'open')
  return stream
}

const STREAMS: ReadonlyArray<{ state: string, make: () => ReadStream | Promise<ReadStream>, refusal?: FallbackReason }> = [
  { state: 'not open yet', make: () => createReadStream(path) },
  { state: 'open', make: () => opened(createReadStream(path)) },
  { state: 'with start and end', make: () => createReadStream(path, { start: 10, end: 20 }) },
  { state: 'with a high-water mark', make: () => createReadStream(path, { highWaterMark: 1 }) },
  { state: 'over an fd, with start', make: () => createReadStream('', { fd: openSync(path, 'r'), start: 0 }) },
  { state: 'over an fd, from its position', make: () => createReadStream('', { fd: openSync(path, 'r') }) },
  { state: 'over an fd, from its position, and left open', make: () => createReadStream('', { fd: openSync(path, 'r'), autoClose: false }), refusal: 'stream-without-start' },
  { state: 'over a FileHandle', make: async () => (await open(path)).createReadStream() },
  { state: 'over a FileHandle that reads in a way of its own', make: async () => Object.assign(await open(path), { read () {} }).createReadStream(), refusal: 'custom-fs' },
  { state: 'with its own fs', make: () => createReadStream(path, { fs: { ...fs } }), refusal: 'custom-fs' },
  { state: 'with its own _read', make: () => Object.assign(createReadStream(path), { _read () {} }), refusal: 'stream-modified' },
  { state: 'made with an encoding', make: () => createReadStream(path, 'utf8'), refusal: 'stream-decoded' },
  { state: 'given an encoding', make: () => createReadStream(path).setEncoding('latin1'), refusal: 'stream-decoded' },
  { state: 'with a data listener', make: () => createReadStream(path).on('data', () => {}), refusal: 'stream-in-use' },
  {
    state: 'with a data listener, while paused',
    make: () => Object.assign(createReadStream(path).on('data', () => {}), { readableFlowing: null }),
    refusal: 'stream-in-use'
  },
  { state: 'with a readable listener', make: () => createReadStream(path).on('readable', () => {}), refusal: 'stream-in-use' },
  { state: 'paused', make: () => createReadStream(path).pause(), refusal: 'stream-in-use' },
  { state: 'flowing', make: () => createReadStream(path).resume(), refusal: 'stream-in-use' },
  {
    state: 'piped',
    make: () => {
      const stream = createReadStream(path)
      stream.pipe(new PassThrough())
      return stream
    },
    refusal: 'stream-in-use'
  },
  {
    state: 'read from, its listeners gone',
    make: async () => {
      const stream = createReadStream(path)
      stream.read(0)
      await once(stream, 'readable')
      return stream
    },
    refusal: 'stream-in-use'
  },
  {
    state: 'read to its end',
    make: async () => {
      const stream = createReadStream(path, { start: 200_000, autoClose: false })
      await once(stream.resume(), 'end')
      return stream
    },
    refusal: 'stream-in-use'
  }
]

t.test("whether a stream's bytes can be had from its file alone", async t => {
  for (const { state, make, refusal } of STREAMS) {
    const stream = await make()
    t.equal(refuseStream(stream), refusal, state)
    stream.destroy()
  }
})

t.test('whether somebody has replaced how a stream is piped', async t => {
  const stream = createReadStream(path)
  t.equal(pipesAsNodeDoes(stream), true)
  stream.pipe = Readable.prototype.pipe
  t.equal(pipesAsNodeDoes(stream), true)
  stream.pipe = destination => destination
  t.equal(pipesAsNodeDoes(stream), false)
  stream.destroy()
})

const HEAD: ResponseHead = {
  method: 'GET',
  statusCode: 200,
  headersSent: false,
  writesAsNodeDoes: true,
  hasTrailers: false,
  transferEncoding: undefined,
  strictContentLength: false
}

t.test('whether a response can have the bytes of a file as its body', async t => {
  const table: ReadonlyArray<[Partial<ResponseHead>, FallbackReason | undefined]> = [
    [{}, undefined],
    [{ method: 'POST' }, undefined],
    [{ statusCode: 206 }, undefined],
    [{ statusCode: 404 }, undefined],
    [{ headersSent: true }, 'headers-sent'],
    [{ method: 'HEAD' }, 'no-body'],
    [{ statusCode: 304 }, 'no-body'],
    [{ statusCode: 204 }, 'no-body'],
    [{ writesAsNodeDoes: false }, 'response-modified'],
    [{ hasTrailers: true }, 'trailers'],
    [{ transferEncoding: 'chunked' }, 'transfer-encoding'],
    [{ transferEncoding: '' }, 'transfer-encoding'],
    [{ strictContentLength: true }, 'strict-content-length']
  ]
  for (const [change, refusal] of table) t.equal(refuseResponse({ ...HEAD, ...change }), refusal, JSON.stringify(change))
})

t.test('the part of a file that a stream covers', async t => {
  for (const [size, start, end, offset, length] of [
    [100, 0, Infinity, 0, 100],
    [100, 0, 99, 0, 100],
    [100, 0, 0, 0, 1],
    [100, 99, 99, 99, 1],
    [100, 10, 19, 10, 10],
    [100, 90, 500, 90, 10],
    [100, 100, Infinity, 100, 0],
    [100, 500, 600, 500, 0],
    [100, 20, 10, 20, 0],
    [0, 0, Infinity, 0, 0],
    [0, 0, 0, 0, 0],
    [2 ** 40, 2 ** 32 - 1, 2 ** 32, 2 ** 32 - 1, 2]
  ] as const) {
    t.strictSame(rangeWithin(size, start, end), { offset, length }, `${start} to ${end} of ${size}`)
  }
})

t.test('whether a body has the length that the headers want', async t => {
  for (const [length, contentLength, refusal] of [
    [100, undefined, undefined],
    [0, undefined, undefined],
    [100, 100, undefined],
    [100, '100', undefined],
    [100, 99, 'content-length-mismatch'],
    [100, '101', 'content-length-mismatch'],
    [100, '100 ', 'content-length-mismatch'],
    [100, '', 'content-length-mismatch'],
    [100, ['100', '100'], 'content-length-mismatch']
  ] as const) {
    t.equal(refuseLength(length, contentLength), refusal, `${length} bytes, Content-Length ${String(contentLength)}`)
  }
})
