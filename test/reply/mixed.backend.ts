import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import t from 'tap'
import { Client } from 'undici'
import { SECURE, statsOf } from '../support/backend'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { countPromotions } from '../support/kernel'
import { serveFolder } from '../support/static'

const REQUESTS = 200

t.test('one connection carries many replies of every kind', async t => {
  const folder = makeFolder(t)
  const files = [700, 20_000, 100_000, 300_000].map(size => makeFile(folder, size))
  const buffer = randomBytes(100_000)
  const json = { text: 'x'.repeat(3000) }
  for (const pipelining of [1, 10]) {
    await t.test(`${pipelining === 1 ? 'not pipelined' : `pipelined by ${pipelining}`}`, async t => {
      const { origin, app, warnings } = await serveFolder(t, folder, {
        ktls: { minSize: 1000 },
        setup: app => {
          app.get('/json', async () => json)
          app.get('/buffer', async () => buffer)
          app.get('/stream', (_request, reply) => reply.send(Readable.from([buffer, 'text', buffer])))
          app.get('/fails', async () => { throw new Error('as planned') })
        }
      })
      const before = countPromotions()
      const client = new Client(origin, { pipelining, connect: { rejectUnauthorized: false } })
      t.teardown(() => client.close())
      const expected: Array<{ path: string, status: number, sha256?: string }> = [
        ...files.map(file => ({ path: `/${file.name}`, status: 200, sha256: file.sha256 })),
        { path: '/json', status: 200, sha256: sha256(JSON.stringify(json)) },
        { path: '/buffer', status: 200, sha256: sha256(buffer) },
        { path: '/stream', status: 200, sha256: sha256(Buffer.concat([buffer, Buffer.from('text'), buffer])) },
        { path: '/fails', status: 500 },
        { path: '/none', status: 404 }
      ]
      const wrong: unknown[] = []
      await Promise.all(Array.from({ length: REQUESTS }, async (_unused, index) => {
        const { path, status, sha256: hash } = expected[(index * 3) % expected.length]!
        const response = await client.request({ path, method: 'GET' })
        const got = sha256(new Uint8Array(await response.body.arrayBuffer()))
        if (response.statusCode !== status || (hash !== undefined && got !== hash)) wrong.push({ index, path, status: response.statusCode })
      }))
      t.strictSame(wrong, [])
      t.equal(countPromotions() - before, 1)
      const { connections, replies } = statsOf(app)
      t.strictSame(connections, { seen: 1, promoted: 1, open: 1 })
      t.equal(replies.file + replies.write + replies.node, REQUESTS)
      t.ok(replies.file > 60, `${replies.file} as files`)
      t.ok(replies.node < 10 || !SECURE, `${replies.node} before the promotion`)
      t.ok(warnings.every(({ msg }) => msg === 'as planned'), 'nothing else in the log')
    })
  }
})
