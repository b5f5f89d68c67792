import { createReadStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyReply } from 'fastify'
import t from 'tap'
import { AFTER_FILE, SECURE } from '../support/backend'
import { ask, get, readReply } from '../support/client'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { countCalls } from '../support/fs-calls'
import { countPromotions } from '../support/kernel'
import { compareReplies, visible } from '../support/replies'
import { request } from '../support/request'
import { startServer } from '../support/server'
import { serveFolder } from '../support/static'
import { run } from '../vm/run'

const SMALL = 5000

t.test('replies of fewer bytes than minSize are the same as without the plugin', async t => {
  // The probe makes some, once a process.
  await startServer(t, { ktls: {} })
  const before = countPromotions()
  await compareReplies(t, { minSize: 1e9 }, async (t, { replyCase: { path }, expected, got, tested }) => {
    t.strictSame(visible(got), visible(expected))
    const [decision] = await tested.decisions(1)
    t.match(decision, { path: 'node', offloaded: false, ...path === 'file' && { reason: 'too-small' } })
  })
  t.equal(countPromotions(), before)
})

t.test('a large file below minSize is streamed, not read at once', async t => {
  const folder = makeFolder(t)
  const reads = countCalls(t, 'read')
  const { origin, decisions } = await startServer(t, {
    ktls: { minSize: Number.MAX_SAFE_INTEGER },
    setup: app => {
      app.get<{ Params: { name: string } }>('/:name', (request, reply) => reply.send(createReadStream(join(folder, request.params.name))))
    }
  })
  for (const [size, streamed] of [[65_536, false], [65_537, true], [3_000_000, true]] as const) {
    const file = makeFile(folder, size)
    const before = reads()
    t.equal((await request(`${origin}/${file.name}`)).sha256, file.sha256)
    t.equal(reads() > before, streamed, `${reads() - before} reads`)
    t.match(await decisions(1), [{ path: 'node', reason: 'too-small' }])
  }
})

t.test('a small file whose turn comes late is finished once', async t => {
  const file = makeFile(makeFolder(t), SMALL)
  const endings: string[] = []
  let first: FastifyReply | undefined
  const { port, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/late', (_request, reply) => { first = reply })
      app.get('/small', (_request, reply) => {
        for (const event of ['prefinish', 'finish']) reply.raw.on(event, () => endings.push(event))
        const stream = createReadStream(file.path)
        // It is open, and waits for the reply before it.
        stream.once('ready', () => setImmediate(() => first!.send('done')))
        return reply.header('content-length', SMALL).send(stream)
      })
    }
  })
  const client = await get(port, '/late')
  ask(client, '/small', ['Connection: close'])
  t.equal((await readReply(client)).sha256, sha256(Buffer.from('done')))
  t.equal((await readReply(client)).sha256, file.sha256)
  t.match(await decisions(2), [{ reason: 'data' }, { reason: 'too-small' }])
  t.strictSame(endings, ['prefinish', 'finish'])
})

// Without TLS there is no such thing.
if (SECURE) {
  t.test('a small file leaves in one record with its head', async t => {
    const folder = makeFolder(t)
    const large = makeFile(folder, 300_000)
    const small = makeFile(folder, SMALL)
    const bytes = readFileSync(small.path)
    const { port, decisions } = await serveFolder(t, folder, { ktls: {} })
    const before = countPromotions()
    const tls = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const
    const client = await get(port, `/${large.name}`, [], tls)
    t.equal((await readReply(client)).sha256, large.sha256)
    for (const [headers, body] of [[[], bytes], [['Range: bytes=1000-3999'], bytes.subarray(1000, 4000)]] as const) {
      const records = client.records.seen.length
      ask(client, `/${small.name}`, headers)
      t.equal((await readReply(client)).sha256, sha256(body))
      t.equal(client.records.seen.length - records, 1)
    }
    // What the disk has to be asked for, too.
    await run('sync', ['--file-system', small.path])
    await run('dd', [`if=${small.path}`, 'iflag=nocache', 'count=0', 'status=none'])
    const records = client.records.seen.length
    ask(client, `/${small.name}`)
    t.equal((await readReply(client)).sha256, small.sha256)
    t.equal(client.records.seen.length - records, 1)
    client.tls.destroy()
    const SMALL_REPLY = { path: AFTER_FILE, reason: 'too-small' }
    t.match(await decisions(4), [{ path: 'file' }, SMALL_REPLY, SMALL_REPLY, SMALL_REPLY])
    t.equal(countPromotions() - before, 1)
  })
}
