import { createReadStream, readFileSync } from 'node:fs'
import t from 'tap'
import { BACKEND } from '../support/backend'
import { ask, get, readReply, receive } from '../support/client'
import type { Reply } from '../support/client'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { countPromotions } from '../support/kernel'
import { sClient } from '../support/s-client'
import { startServer } from '../support/server'
import { serveFolder } from '../support/static'

const folder = makeFolder(t)

for (const version of ['tls1_2', 'tls1_3']) {
  t.test(`a client that wants smaller records (RFC 6066 4), ${version}`, async t => {
    const file = makeFile(folder, 300_000)
    const { port, decisions } = await startServer(t, {
      ktls: {},
      setup: app => { app.get('/file', (_request, reply) => reply.send(createReadStream(file.path))) }
    })
    const before = countPromotions()
    // In HTTP/1.0, so that the body comes as it is and ends with the connection.
    const bytes = await sClient(port, [`-${version}`, '-maxfraglen', '512'], async ({ write }) => write('GET /file HTTP/1.0\r\n\r\n'))
    t.equal(sha256(bytes.subarray(-file.size)), file.sha256)
    t.match(await decisions(1), [{ path: 'node', reason: 'max-fragment-length' }])
    t.equal(countPromotions(), before)
  })
}

const DATA = 23
const FULL = 16_384
const PAGE = 4096
/** TLS 1.2, where data have a type of their own: the explicit nonce and the tag (RFC 5288 3). */
const TLS12 = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' } as const
const OVERHEAD = 8 + 16

/** Of the kernel, that records begin with pages: it encrypts the page cache where it is. The threads read into their records. */
t.test(BACKEND === 'kernel' ? "a reply's head and its file share a record; the records after it are full and begin with a page" : "a reply's head has a record, and its file full ones", async t => {
  const file = makeFile(folder, 100_000)
  const bytes = readFileSync(file.path)
  const { port, decisions } = await serveFolder(t, folder, { ktls: {} })
  const before = countPromotions()
  const client = await get(port, `/${file.name}`, [], TLS12)
  const expected: number[] = []
  const answered = ({ head }: Reply, first: number, last: number, name: string) => {
    // By the kernel as much as there is room for, up to a page's end.
    const start = BACKEND === 'kernel' ? Math.floor((first + FULL - head.length) / PAGE) * PAGE : first
    expected.push(head.length + start - first)
    for (let at = start; at < last; at += FULL) expected.push(Math.min(FULL, last - at))
    t.strictSame(client.records.seen.filter(({ type }) => type === DATA).map(({ length }) => length - OVERHEAD), expected, name)
  }
  const first = await readReply(client)
  answered(first, 0, file.size, "the connection's first reply")
  t.equal(first.sha256, file.sha256)
  ask(client, `/${file.name}`, ['Range: bytes=5000-94999'])
  const part = await readReply(client)
  answered(part, 5000, 95_000, 'a range')
  t.equal(part.sha256, sha256(bytes.subarray(5000, 95_000)))
  ask(client, `/${file.name}`, ['Connection: close'])
  const last = await receive(client)
  answered(last, 0, file.size, 'the last one')
  t.equal(last.sha256, file.sha256)
  t.match(await decisions(3), [{ path: 'file' }, { path: 'file' }, { path: 'file' }])
  t.equal(countPromotions() - before, 1)
})
