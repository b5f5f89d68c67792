import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Agent } from 'node:https'
import { inflateRawSync } from 'node:zlib'
import t from 'tap'
import { createApp as createArchive } from '../../examples/archive'
import { createApp as createDownloads } from '../../examples/downloads'
import { areSame, compare, formatTable } from '../../examples/equivalence/run'
import { createApp as createMinimal } from '../../examples/minimal'
import { createApp as createProxied, passThrough } from '../../examples/proxy'
import { createApp as createStatic } from '../../examples/static'
import { createApp as createVideo } from '../../examples/video/app'
import { certificate } from '../certificate'
import { BACKEND } from '../support/backend'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { countPromotions, usesDouble } from '../support/kernel'
import { request } from '../support/request'
import { StartChild } from '../start/child'
import { listen } from '../support/server'
import type { Listener } from '../support/server'
import { until } from '../support/wait'

const root = makeFolder(t)
const file = makeFile(root, 1_000_000, '10MB.bin')
const slice = sha256(readFileSync(file.path).subarray(100_000, 900_000))

const WHOLE = { status: 200, sha256: file.sha256, promotions: 1 }
const PART = { status: 206, promotions: 1, sha256: slice, headers: { 'content-range': `bytes 100000-899999/${file.size}` } }
const RANGE = { range: 'bytes=100000-899999' }

async function options () {
  return { https: await certificate(), root }
}

/** An example's origin. */
async function serve (t: Tap.Test, app: Listener): Promise<string> {
  return `https://127.0.0.1:${await listen(t, app)}`
}

/** What comes back, without the body, and how many connections the backend got for it. */
async function exchange (url: string, headers: Record<string, string> = {}) {
  const before = countPromotions()
  const { body, rawHeaders, ...rest } = await request(url, { headers })
  return { ...rest, promotions: countPromotions() - before }
}

t.test('minimal', async t => {
  const origin = await serve(t, await createMinimal(await options()))
  t.match(await exchange(origin), WHOLE)
})

t.test('static', async t => {
  const origin = await serve(t, await createStatic(await options()))
  t.match(await exchange(`${origin}/${file.name}`), WHOLE)
  t.match(await exchange(`${origin}/${file.name}`, RANGE), PART)
})

/** The only file in a zip, by its central directory (APPNOTE.TXT 4.3). */
function onlyMember (zip: Buffer): Buffer {
  const entry = zip.readUInt32LE(zip.lastIndexOf('PK\x05\x06') + 16)
  const header = zip.readUInt32LE(entry + 42)
  const data = header + 30 + zip.readUInt16LE(header + 26) + zip.readUInt16LE(header + 28)
  return inflateRawSync(zip.subarray(data, data + zip.readUInt32LE(entry + 20)))
}

t.test('archive', async t => {
  const app = await createArchive(await options())
  const decisions: unknown[] = []
  app.addHook('onResponse', async request => {
    const { path, reason } = request.ktls
    decisions.push({ path, reason })
  })
  const origin = await serve(t, app)
  const [kept, again] = [await request(`${origin}/archive.zip`), await request(`${origin}/archive.zip`)]
  t.equal(again.sha256, kept.sha256)
  const streamed = await request(`${origin}/stream.zip`)
  await until(() => decisions.length === 3)
  t.strictSame(decisions, [{ path: 'file', reason: null }, { path: 'file', reason: null }, { path: 'node', reason: 'stream' }])
  for (const { body, headers } of [kept, streamed]) {
    t.equal(headers['content-type'], 'application/zip')
    t.equal(sha256(onlyMember(body)), file.sha256)
  }
})

t.test('video', async t => {
  const origin = await serve(t, await createVideo(await options()))
  t.match((await request(origin)).body.toString(), /<video controls [^>]*src="\/clip\.mp4#t=30"/)
  t.match(await exchange(`${origin}/${file.name}`, RANGE), PART)
})

t.test('downloads', async t => {
  const origin = await serve(t, await createDownloads({ ...await options(), token: 'secret' }))
  const url = `${origin}/downloads/${file.name}`
  for (const headers of [{}, { authorization: 'Bearer secreT' }, { authorization: 'Bearer secret more' }, { authorization: 'secret' }]) {
    const refused = { status: 401, promotions: 0, sha256: sha256('{"error":"Unauthorized"}'), headers: { 'www-authenticate': 'Bearer' } }
    t.match(await exchange(url, headers), refused, JSON.stringify(headers))
  }
  t.match(await exchange(url, { authorization: 'bEARER  secret' }), WHOLE, 'the name of the scheme is the same in any case')
  const headers = { authorization: 'Bearer secret' }
  t.match(await exchange(url, headers), { ...WHOLE, headers: { 'content-disposition': /^attachment/ } })
  t.match(await exchange(`${origin}/${file.name}`, headers), { status: 404 }, 'no other way to the file')
  t.match(await exchange(`${origin}/downloads/..%2f..%2fetc%2fpasswd`, headers), { status: 403 })
})

t.test('proxy', async t => {
  const direct = await serve(t, await createProxied(await options()))
  const proxy = passThrough(Number(new URL(direct).port))
  await new Promise<void>(resolve => { proxy.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => proxy.close())
  const through = `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  t.match(await exchange(`${through}/${file.name}`), WHOLE, 'TCP that is passed on stays with the backend')

  const headers = { 'x-forwarded-for': '203.0.113.7' }
  for (const origin of [direct, through]) {
    t.same((await request(`${origin}/address`, { headers })).body.toString(), '{"address":"127.0.0.1"}', 'a client cannot give itself an address')
  }
  const trusting = await serve(t, await createProxied({ ...await options(), trustProxy: 'loopback' }))
  t.same((await request(`${trusting}/address`, { headers })).body.toString(), '{"address":"203.0.113.7"}')
  t.match(await exchange(`${trusting}/${file.name}`, headers), WHOLE)
})

t.test('equivalence', async t => {
  const comparisons = await compare(await options(), file.name)
  const transferred = { bytes: file.size, sha256: file.sha256 }
  t.match(comparisons, [
    { ...transferred, url: '/by-openssl', path: 'node', reason: 'route-opted-out' },
    { ...transferred, url: '/file', path: 'file', reason: null },
    { ...transferred, url: '/memory', path: 'write', reason: null }
  ])
  for (const { milliseconds, processor } of comparisons) t.ok(milliseconds > 0 && processor >= 0)
  const table = formatTable(comparisons).split('\n')
  t.match(table[1], new RegExp(`^OpenSSL, SSL_write +1,000,000 +\\d+ ms +\\d+ ms +${file.sha256}$`))
  t.equal(table.at(-1), 'The bytes are the same.')
  t.ok(areSame(comparisons))
  const different = comparisons.map((row, index) => ({ ...row, sha256: String(index) }))
  t.match(formatTable(different), /The bytes DIFFER\.$/)
  t.notOk(areSame(different))
})

t.test('cluster', async t => {
  const program = [...(usesDouble() ? ['--require', join(__dirname, '../double/install')] : []), join(__dirname, '../../examples/cluster.js')]
  const child = new StartChild(t, [root], { PORT: '0' }, program)
  const origin = await child.ready()
  await child.line(/^\d+ processes serve$/)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.equal((await request(`${origin}/${file.name}`, { agent })).sha256, file.sha256)
  const { worker, replies } = JSON.parse((await request(`${origin}/stats`, { agent })).body.toString())
  t.ok(worker >= 1 && worker <= availableParallelism())
  t.strictSame(replies, { file: { kernel: 0, threads: 0, plain: 0, [BACKEND]: 1 }, write: { kernel: 0, threads: 0, plain: 0 }, node: 0 })
  agent.destroy()
  child.signal('SIGTERM')
  t.strictSame(await child.end(), { code: 0, errors: '' })
})
