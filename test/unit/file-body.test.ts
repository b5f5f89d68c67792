/* What Fastify is given in place of a kept file's stream, where its head cannot be made or nobody takes it. */
import { once } from 'node:events'
import { createReadStream, writeFileSync } from 'node:fs'
import { ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { FastifyReply } from 'fastify'
import t from 'tap'
import { FileBody } from '../../lib/reply/file-body'
import type { FileReplyContext } from '../../lib/reply/file-reply'
import { makeFolder } from '../support/files'

const path = join(makeFolder(t), 'a.txt')
writeFileSync(path, 'some text')

function body (): FileBody {
  return new FileBody(7, { offset: 0, length: 9 }, () => createReadStream(path))
}

/** A reply, and what is done to its surroundings. */
function surroundings () {
  const calls: unknown[] = []
  const raw = Object.assign(new ServerResponse({ httpVersionMajor: 1, httpVersionMinor: 1, method: 'GET' } as IncomingMessage), { socket: new PassThrough() })
  const context = {
    binding: { isCached: () => true, duplicate: (fd: number) => fd + 1, close: (fd: number) => { calls.push(`close ${fd}`) } },
    connection: { transmit: { release: () => { calls.push('release') } } },
    promoter: { promoteNow: () => undefined },
    minSize: 0,
    decided: (reason: unknown) => { calls.push(reason) }
  } as unknown as FileReplyContext
  return { calls, context, reply: { raw, request: { method: 'GET' } } as unknown as FastifyReply, raw }
}

t.test('a head that cannot be made is an error, and leaves nothing open', async t => {
  const { calls, context, reply, raw } = surroundings()
  const file = body()
  raw.statusMessage = 'of two\nlines'
  t.ok(file.offer(reply, context))
  const failed = once(file, 'error')
  file.pipe(new PassThrough())
  t.match(await failed, [{ code: 'ERR_INVALID_CHAR' }])
  t.strictSame(calls, ['close 8', 'release'])
})

t.test('one that nobody has taken is the stream', async t => {
  const file = body()
  const sink = new PassThrough()
  const ended = once(file, 'end')
  file.pipe(sink)
  t.equal(await text(sink), 'some text')
  await ended
})

t.test('one that is destroyed was closed too early', async t => {
  const unpiped = body()
  unpiped.destroy()
  t.match(await once(unpiped, 'error'), [{ code: 'ERR_STREAM_PREMATURE_CLOSE' }])
  const piped = body()
  piped.pipe(new PassThrough())
  piped.destroy()
  t.match(await once(piped, 'error'), [{ code: 'ERR_STREAM_PREMATURE_CLOSE' }])
})
