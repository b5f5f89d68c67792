/* Small files whose file system cannot say what is in the page cache, as overlayfs: a thread reads them. */
import fs, { appendFileSync, createReadStream, readFileSync, truncateSync } from 'node:fs'
import type { ReadStream } from 'node:fs'
import type { FastifyReply } from 'fastify'
import t from 'tap'
import { loadBinding } from '../../lib/binding'
import type { FallbackReason } from '../../types/index'
import { AFTER_FILE, SECURE } from '../support/backend'
import { ask, get, readReply } from '../support/client'
import { makeFile, makeFolder, openCount, sha256 } from '../support/files'
import { countCalls } from '../support/fs-calls'
import { forgetPageCache } from '../support/page-cache'
import { makePoolHolder } from '../support/pool'
import type { HoldPool } from '../support/pool'
import { compareReplies, visible } from '../support/replies'
import { request } from '../support/request'
import { startServer } from '../support/server'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

const SIZE = 20_000

const TOO_SMALL = { path: 'node', reason: 'too-small' } as const

t.test('every kind of reply is the same as without the plugin', async t => {
  forgetPageCache(t)
  await compareReplies(t, { minSize: 1e9 }, (t, { expected, got }) => {
    t.strictSame(visible(got), visible(expected))
  })
})

t.test('each leaves with its head, without a read of its stream, and nothing stays open', async t => {
  forgetPageCache(t)
  const folder = makeFolder(t)
  const large = makeFile(folder, 300_000)
  const { port, decisions } = await serveFolder(t, folder, { ktls: {} })
  const client = await get(port, `/${large.name}`)
  t.equal((await readReply(client)).sha256, large.sha256)
  t.match(await decisions(1), [{ path: 'file' }])
  const reads = countCalls(t, 'read')
  for (const size of [1, 4096, SIZE, 65_535]) {
    const file = makeFile(folder, size)
    const bytes = readFileSync(file.path)
    for (const [headers, body] of [[[], bytes], [[`Range: bytes=0-${size >> 1}`], bytes.subarray(0, (size >> 1) + 1)]] as const) {
      const records = client.records.seen.length
      ask(client, `/${file.name}`, headers)
      t.equal((await readReply(client)).sha256, sha256(body), `${body.length} of ${size} bytes`)
      if (SECURE && size <= SIZE) t.equal(client.records.seen.length - records, Math.ceil(body.length / 16_000), 'full records')
      t.match(await decisions(1), [{ path: AFTER_FILE, reason: 'too-small' }])
    }
    await until(() => openCount(file.path) === 0)
  }
  t.equal(reads(), 0)
  client.tls.destroy()
})

t.test('two at once on one connection come in their order', async t => {
  forgetPageCache(t)
  const folder = makeFolder(t)
  const [first, second] = [makeFile(folder, 60_000), makeFile(folder, 1000)]
  const { port, decisions } = await serveFolder(t, folder, { ktls: {} })
  const client = await get(port, `/${first.name}`, ['', `GET /${second.name} HTTP/1.1`, 'Host: localhost'])
  for (const file of [first, second]) t.equal((await readReply(client)).sha256, file.sha256)
  t.match(await decisions(2), [TOO_SMALL, TOO_SMALL])
  client.tls.destroy()
})

interface Meanwhile {
  readonly name: string
  readonly happens: (stream: ReadStream, path: string, reply: FastifyReply) => void
  /** Of the decision; absent where it depends on who hears of the end first. */
  readonly reason?: FallbackReason
}

/** What can happen while a thread is to read the file, as is the stream without the plugin. */
const MEANWHILE: readonly Meanwhile[] = [
  { name: 'nothing', happens: () => {}, reason: 'too-small' },
  { name: 'the file becomes shorter', happens: (_stream, path) => truncateSync(path, 5000), reason: 'too-small' },
  { name: 'the file is emptied', happens: (_stream, path) => truncateSync(path, 0), reason: 'too-small' },
  { name: 'the file grows', happens: (_stream, path) => appendFileSync(path, 'more'), reason: 'too-small' },
  { name: 'the file becomes large', happens: (_stream, path) => appendFileSync(path, Buffer.alloc(500_000, 'more')), reason: 'too-small' },
  { name: 'a listener for data comes', happens: stream => { stream.on('data', () => {}) }, reason: 'stream-in-use' },
  { name: 'the stream is destroyed', happens: stream => { stream.destroy() } },
  { name: 'the stream fails', happens: stream => { stream.destroy(new Error('as planned')) } },
  { name: 'the connection is destroyed', happens: (_stream, _path, reply) => { reply.raw.socket!.destroy() } }
]

/** Status and body of a reply during whose read something happens, and events. */
async function outcome (t: Tap.Test, options: { ktls?: object }, { happens, reason }: Meanwhile, hold: HoldPool, withLength: boolean): Promise<unknown> {
  const file = makeFile(makeFolder(t), SIZE)
  const seen: string[] = []
  const closed: string[] = []
  const { origin, decisions } = await startServer(t, {
    ...options,
    setup: app => {
      app.get('/', (_request, reply) => {
        const stream = createReadStream(file.path)
        for (const name of ['open', 'ready', 'end', 'error']) stream.on(name, () => seen.push(`stream ${name} ${stream.bytesRead}`))
        reply.raw.on('finish', () => seen.push('response finish'))
        for (const one of [stream, reply.raw]) one.once('close', () => closed.push('closed'))
        stream.once('ready', () => {
          const release = hold()
          setImmediate(() => setImmediate(() => {
            happens(stream, file.path, reply)
            release()
          }))
        })
        return (withLength ? reply.header('content-length', SIZE) : reply).send(stream)
      })
    }
  })
  const reply = await request(origin).then(visible, (error: NodeJS.ErrnoException) => error.code)
  await until(() => closed.length === 2 && openCount(file.path) === 0)
  if (options.ktls !== undefined && reason !== undefined) t.match(await decisions(1), [{ path: 'node', reason }])
  // A client that has as many bytes as were announced may leave before the stream has found its end.
  return withLength ? reply : { reply, seen }
}

t.test('whatever happens before the thread reads, stream and response do as without the plugin', async t => {
  forgetPageCache(t)
  const hold = await makePoolHolder(t)
  for (const one of MEANWHILE) {
    for (const withLength of [false, true]) {
      const expected = await outcome(t, {}, one, hold, withLength)
      t.strictSame(await outcome(t, { ktls: {} }, one, hold, withLength), expected, `${one.name}, ${withLength ? 'with' : 'without'} a Content-Length`)
    }
  }
})

/** Puts `read` in the place of the addon's. */
function spoilReads (t: Tap.Test, read: (done: (whole: boolean) => void) => boolean): void {
  const loaded = loadBinding()
  if (!('binding' in loaded)) throw new Error(loaded.detail)
  const { binding } = loaded
  const { read: original } = binding
  t.teardown(() => { Object.assign(binding, { read: original }) })
  Object.assign(binding, { read: (_fd: number, _offset: number, _bytes: Uint8Array, _size: number, done: (whole: boolean) => void) => read(done) })
}

t.test('where no descriptor is left for it, the stream reads', async t => {
  forgetPageCache(t)
  const folder = makeFolder(t)
  const file = makeFile(folder, SIZE)
  spoilReads(t, () => false)
  const { origin, decisions } = await serveFolder(t, folder, { ktls: {} })
  t.equal((await request(`${origin}/${file.name}`)).sha256, file.sha256)
  t.match(await decisions(1), [TOO_SMALL])
  await until(() => openCount(file.path) === 0)
})

t.test('a bad disk makes the error reply that it makes without the plugin', async t => {
  forgetPageCache(t)
  const folder = makeFolder(t)
  const file = makeFile(folder, SIZE)
  spoilReads(t, done => {
    setImmediate(done, false)
    return true
  })
  const { read } = fs
  t.teardown(() => { Object.assign(fs, { read }) })
  Object.assign(fs, {
    read: (...args: unknown[]) => setImmediate(args.at(-1) as (error: Error) => void, Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }))
  })
  const [plain, tested] = [await serveFolder(t, folder, {}), await serveFolder(t, folder, { ktls: {} })]
  const [expected, got] = [await request(`${plain.origin}/${file.name}`), await request(`${tested.origin}/${file.name}`)]
  t.equal(expected.status, 500)
  t.strictSame(visible(got), visible(expected))
  t.match(await tested.decisions(1), [TOO_SMALL])
  await until(() => openCount(file.path) === 0)
})
