import { once } from 'node:events'
import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, truncateSync } from 'node:fs'
import type { ReadStream } from 'node:fs'
import t from 'tap'
import { statsOf } from '../support/backend'
import { get, receive } from '../support/client'
import { makeFile, makeFolder, openCount, sha256 } from '../support/files'
import type { TestFile } from '../support/files'
import { countPromotions } from '../support/kernel'
import { request } from '../support/request'
import { keepAllBuffersSmall } from '../support/sockets'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

/** More than the buffers of a connection hold where they are kept small. */
const BIG = 4 << 20

interface Change {
  readonly name: string
  readonly change: (file: TestFile, folder: string) => void
}

const HARMLESS: readonly Change[] = [
  { name: 'is deleted', change: ({ path }) => rmSync(path) },
  { name: 'is replaced by a rename', change: ({ path }, folder) => renameSync(makeFile(folder, 50_000, 'new.bin').path, path) },
  { name: 'grows', change: ({ path }) => appendFileSync(path, Buffer.alloc(1 << 20, 'more')) }
]

for (const { name, change } of HARMLESS) {
  t.test(`a file that ${name} during its transfer comes as it was, and the connection goes on`, async t => {
    keepAllBuffersSmall(t)
    const folder = makeFolder(t)
    const file = makeFile(folder, BIG, 'big.bin')
    const next = makeFile(folder, 100_000, 'next.bin')
    const { app, port, origin, decisions, warnings } = await serveFolder(t, folder, { ktls: {} })
    const promotions = countPromotions()
    const client = await get(port, '/big.bin', ['', 'GET /next.bin HTTP/1.1', 'Host: localhost', 'Connection: close'])
    await once(client.tls, 'readable')
    await until(() => statsOf(app).bytes.file > 0)
    change(file, folder)
    const { body, clean } = await receive(client)
    t.equal(sha256(body.subarray(0, BIG)), file.sha256)
    t.equal(sha256(body.subarray(body.indexOf('\r\n\r\n', BIG) + 4)), next.sha256, 'the reply behind it')
    t.ok(clean)
    t.match(await decisions(2), [{ path: 'file' }, { path: 'file' }])
    t.equal(countPromotions() - promotions, 1)
    t.strictSame(warnings, [])
    await until(() => openCount(file.path) + openCount(`${file.path} (deleted)`) === 0)

    const again = await request(`${origin}/big.bin`)
    if (existsSync(file.path)) t.equal(again.sha256, sha256(readFileSync(file.path)), 'who asks next gets the new one')
    else t.equal(again.status, 404)
  })
}

t.test('a file that is emptied during its transfer ends the connection', async t => {
  keepAllBuffersSmall(t)
  const folder = makeFolder(t)
  const file = makeFile(folder, BIG, 'big.bin')
  makeFile(folder, 100_000, 'next.bin')
  const bytes = readFileSync(file.path)
  const { app, port, decisions, warnings } = await serveFolder(t, folder, { ktls: {} })
  const promotions = countPromotions()
  const client = await get(port, '/big.bin', ['', 'GET /next.bin HTTP/1.1', 'Host: localhost', 'Connection: close'])
  await once(client.tls, 'readable')
  await until(() => statsOf(app).bytes.file > 0)
  truncateSync(file.path, 0)
  const { size, sha256: hash, clean } = await receive(client)
  t.ok(size < BIG)
  t.equal(hash, sha256(bytes.subarray(0, size)), 'what came are the bytes that were there')
  t.notOk(clean)
  t.match(await decisions(1), [{ path: 'file' }])
  t.equal(countPromotions() - promotions, 1)
  t.strictSame(warnings.map(({ err }) => (err as { code?: string }).code), ['FST_KTLS_FILE_TRUNCATED'])
  await until(() => statsOf(app).connections.open === 0 && openCount(file.path) === 0)
})

t.test('a file that is emptied after it was opened, before it is sent, ends the connection', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 100_000)
  const { app, port, warnings } = await serveFolder(t, folder, {
    ktls: {},
    setup: app => {
      app.addHook('onSend', async (_request, reply, payload) => {
        // After the plugin's look at the size: its head is made then.
        const { writeHead } = reply.raw
        reply.raw.writeHead = (statusCode: number) => {
          truncateSync(file.path, 0)
          return writeHead.call(reply.raw, statusCode)
        }
        return payload as ReadStream
      })
    }
  })
  const promotions = countPromotions()
  const { size, clean } = await receive(await get(port, `/${file.name}`))
  t.equal(size, 0)
  t.notOk(clean)
  t.equal(countPromotions() - promotions, 1)
  t.strictSame(warnings.map(({ err }) => (err as { code?: string }).code), ['FST_KTLS_FILE_TRUNCATED'])
  await until(() => statsOf(app).connections.open === 0 && openCount(file.path) === 0)
})
