import { createReadStream, readFileSync } from 'node:fs'
import t from 'tap'
import { AFTER_FILE, BACKEND, SECURE, statsOf } from '../support/backend'
import { ask, get, open, readReply, receive } from '../support/client'
import { makeDisk } from '../support/disk'
import type { Disk } from '../support/disk'
import { makeFile, openCount, sha256 } from '../support/files'
import { countPromotions, openDescriptors } from '../support/kernel'
import { request } from '../support/request'
import type { ServerOptions, TestServer } from '../support/server'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

const SIZE = (4 << 20) + 54_321
const BAD = (2 << 20) + 12_345

let disk: Disk

t.before(async () => {
  disk = await makeDisk(t, 128)
  // The sender thread's own descriptors come with the first promotion.
  const file = makeFile(disk.folder, 100_000)
  const { origin } = await serveFolder(t, disk.folder, { ktls: {} })
  await request(`${origin}/${file.name}`)
})

t.afterEach(() => disk.repair())

const causes = ({ warnings }: TestServer) => warnings.map(({ level, err }) => {
  const { code, syscall } = err as NodeJS.ErrnoException & { syscall?: string }
  return { level, code, syscall }
})
const WARNED = { level: 40, code: 'EIO', syscall: BACKEND === 'threads' ? 'read' : 'sendfile' }

const CASES = [
  ...(SECURE ? [{ name: 'in the middle of a file', at: BAD, version: 'TLSv1.2' }] as const : []),
  { name: 'in the middle of a file', at: BAD, version: 'TLSv1.3' },
  { name: 'at the end of a file', at: SIZE - 1, version: 'TLSv1.3' }
] as const

t.test('a bad block cuts the connection before it', async t => {
  const bad = makeFile(disk.folder, SIZE, 'bad.bin')
  const good = makeFile(disk.folder, SIZE + 1, 'good.bin')
  const bytes = readFileSync(bad.path)
  for (const { name, at, version } of CASES) {
    await t.test(`${name}, ${version}`, async t => {
      const server = await serveFolder(t, disk.folder, { ktls: {} })
      const { app, port, origin, decisions } = server
      const [before, promotions] = [openDescriptors().length, countPromotions()]
      await disk.spoil(bad.path, at)
      const tls = { minVersion: version, maxVersion: version }
      const [cut, ...others] = await Promise.all([
        get(port, '/bad.bin', ['Connection: close'], tls).then(receive),
        request(`${origin}/good.bin`, tls),
        request(`${origin}/good.bin`, tls)
      ])
      t.match(cut.head, 'HTTP/1.1 200')
      t.match(cut.head, `content-length: ${SIZE}`)
      t.ok(cut.size > 0 && cut.size <= at, `${cut.size} bytes came`)
      t.equal(cut.sha256, sha256(bytes.subarray(0, cut.size)), 'and they are the first of the file')
      t.notOk(cut.clean, 'no close_notify pretends that this was all')
      t.ok(others.every(({ sha256 }) => sha256 === good.sha256), 'other transfers from the disk go on')

      t.match(await decisions(3), [1, 2, 3].map(() => ({ path: 'file', offloaded: true })))
      await until(() => statsOf(app).connections.open === 0 && openDescriptors().length <= before)
      t.strictSame(causes(server), [WARNED], 'one warning, with the cause')
      const { bytes: sent, replies } = statsOf(app)
      t.strictSame(replies, { file: 3, write: 0, node: 0 })
      t.ok(sent.file >= 2 * good.size + cut.size && sent.file <= 2 * good.size + at, 'counted is what was sent')
      t.equal(countPromotions() - promotions, 3)

      const around = [[0, at - (1 << 20)], [at + (1 << 20), SIZE - 1]] as const
      for (const [first, last] of around.filter(([first]) => first < SIZE)) {
        const part = await request(`${origin}/bad.bin`, { headers: { range: `bytes=${first}-${last}` } })
        t.equal(part.sha256, sha256(bytes.subarray(first, last + 1)), `bytes ${first} to ${last} are still to be had`)
      }
      disk.repair()
      t.equal((await request(`${origin}/bad.bin`)).sha256, bad.sha256, 'the repaired file comes whole')
    })
  }
})

t.test('a bad first block', async t => {
  const bad = makeFile(disk.folder, SIZE, 'bad.bin')
  const setup: NonNullable<ServerOptions['setup']> = app => {
    app.get('/stream', (_request, reply) => reply.send(createReadStream(bad.path)))
  }
  const plain = await serveFolder(t, disk.folder, { setup })
  const good = makeFile(disk.folder, 300_000, 'good.bin')
  const server = await serveFolder(t, disk.folder, { ktls: {}, setup })
  let promotions = countPromotions()
  await disk.spoil(bad.path, 0)
  for (const path of ['/bad.bin', '/stream']) {
    const { status, body } = await request(`${plain.origin}${path}`)
    t.equal(status, 500)
    t.match(body.toString(), 'EIO')

    const reply = await request(`${server.origin}${path}`)
    t.equal(reply.status, 500, 'as without the plugin')
    t.equal(reply.body.toString(), body.toString())
    t.match(await server.decisions(1), [{ path: 'node', reason: 'file-unreadable' }])
    t.equal(countPromotions(), promotions)

    const client = await open(server.port)
    ask(client, '/good.bin')
    t.equal((await readReply(client)).sha256, good.sha256)
    ask(client, path)
    const later = await readReply(client)
    t.match(later.head, /^HTTP\/1.1 500/, 'on a promoted connection too')
    t.equal(later.body.toString(), body.toString())
    t.match(await server.decisions(2), [{ offloaded: true }, { path: AFTER_FILE, reason: 'file-unreadable' }])
    client.tls.destroy()
    promotions++
    t.equal(countPromotions(), promotions)
  }
  t.strictSame(causes(server), [...causes(plain), ...causes(plain)], 'the log too')
  await until(() => openCount(bad.path) === 0 && statsOf(server.app).connections.open === 0)
})

t.test('a connection that has sent files ends with the bad one, and what was asked for behind it is let go', async t => {
  const bad = makeFile(disk.folder, SIZE, 'bad.bin')
  const bytes = readFileSync(bad.path)
  const good = makeFile(disk.folder, 300_000, 'good.bin')
  const server = await serveFolder(t, disk.folder, { ktls: {} })
  const [before, promotions] = [openDescriptors().length, countPromotions()]
  await disk.spoil(bad.path, BAD)
  const order = ['bad', 'good', 'good'].flatMap(name => ['', `GET /${name}.bin HTTP/1.1`, 'Host: localhost'])
  const { body, clean } = await receive(await get(server.port, '/good.bin', order))
  t.equal(sha256(body.subarray(0, good.size)), good.sha256)
  const second = body.subarray(body.indexOf('\r\n\r\n', good.size) + 4)
  t.match(body.subarray(good.size).toString('latin1'), /^HTTP\/1.1 200/)
  t.ok(second.length <= BAD)
  t.equal(sha256(second), sha256(bytes.subarray(0, second.length)))
  // Without TLS its length alone says so.
  if (SECURE) t.notOk(clean)
  await until(() => statsOf(server.app).connections.open === 0 && openDescriptors().length <= before)
  t.strictSame(causes(server), [WARNED])
  t.equal(countPromotions() - promotions, 1)
})

t.test('a crowd on the bad file and on a good one', async t => {
  const bad = makeFile(disk.folder, SIZE, 'bad.bin')
  const bytes = readFileSync(bad.path)
  const good = makeFile(disk.folder, 1_000_000, 'good.bin')
  const server = await serveFolder(t, disk.folder, { ktls: {} })
  const before = openDescriptors().length
  await disk.spoil(bad.path, BAD)
  const all = Array.from({ length: 20 }, async (_unused, index) => {
    if (index % 2 === 0) return t.equal((await request(`${server.origin}/good.bin`)).sha256, good.sha256)
    const { size, sha256: hash, clean } = await receive(await get(server.port, '/bad.bin'))
    return t.ok(size <= BAD && hash === sha256(bytes.subarray(0, size)) && !clean, `cut after ${size} bytes`)
  })
  await Promise.all(all)
  await until(() => statsOf(server.app).connections.open === 0 && openDescriptors().length <= before)
  t.strictSame(causes(server), Array(10).fill(WARNED))
})
