/* The app of examples/nginx behind a real nginx, which is fetched by apt and not installed. */
import { once } from 'node:events'
import { readFileSync, mkdirSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { createApp } from '../../examples/nginx/app'
import { fetchNginx, freePort, runNginx } from '../../bench/nginx'
import { certificate } from '../certificate'
import { makeFile, makeFolder, openCount, sha256 } from '../support/files'
import { ROOT } from '../support/node'
import { request } from '../support/request'
import { until } from '../support/wait'

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
/** More than nginx and the buffers of both connections hold. */
const large = makeFile(folder, 40_000_000)
const CONFIGURATION = readFileSync(join(ROOT, 'examples/nginx/nginx.conf'), 'utf8')

/** nginx as the example configures it; its origin. */
async function startNginx (t: Tap.Test, upstream: string): Promise<string> {
  const temporary = join(makeFolder(t), 'nginx')
  mkdirSync(temporary)
  const { key, cert } = await certificate()
  const names = { UPSTREAM: upstream, LISTEN: `127.0.0.1:${await freePort()}`, CERTIFICATE: join(temporary, 'cert.pem'), KEY: join(temporary, 'key.pem') }
  writeFileSync(names.CERTIFICATE, cert)
  writeFileSync(names.KEY, key)
  const http = Object.entries(names).reduce((text, [name, value]) => text.replace(new RegExp(`\\b${name}\\b`), value), CONFIGURATION)
  const nginx = await runNginx(await fetchNginx(message => t.comment(message)), temporary, http)
  t.teardown(nginx.stop)
  return `https://${names.LISTEN}`
}

async function startApp (t: Tap.Test, where: object): Promise<FastifyInstance> {
  const app = await createApp({ root: folder }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.listen(where as { port: number })
  return app
}

for (const how of ['over HTTP', 'over a Unix socket']) {
  t.test(how, async t => {
    const path = join(folder, 'app.sock')
    const port = await freePort()
    const app = await startApp(t, how === 'over HTTP' ? { port, host: '127.0.0.1' } : { path })
    const origin = await startNginx(t, how === 'over HTTP' ? `127.0.0.1:${port}` : `unix:${path}`)
    const files = () => app.ktls.stats().replies.file.plain

    t.strictSame(JSON.parse((await request(`${origin}/address`, { headers: { 'x-forwarded-for': '192.0.2.1' } })).body.toString()), { address: '127.0.0.1', protocol: 'https' })
    for (let round = 1; round <= 3; round++) {
      t.equal((await request(`${origin}/${file.name}`)).sha256, file.sha256)
      t.equal(files(), round)
    }
    const part = await request(`${origin}/${file.name}`, { headers: { range: 'bytes=100000-299999' } })
    t.match(part, { status: 206, sha256: sha256(readFileSync(file.path).subarray(100_000)) })
    t.equal(app.ktls.stats().connections.seen, 1, 'nginx keeps its connection')

    t.comment('a slow client')
    const [slow] = await once(https.get(`${origin}/${large.name}`, { rejectUnauthorized: false, agent: false }), 'response') as [IncomingMessage]
    t.equal((await request(`${origin}/${file.name}`)).sha256, file.sha256, 'another one is served meanwhile')
    t.ok(app.ktls.stats().bytes.file.plain < large.size, 'and the app waits for the slow one')
    t.equal(sha256(await buffer(slow)), large.sha256)

    t.comment('a client that leaves')
    const [left] = await once(https.get(`${origin}/${large.name}`, { rejectUnauthorized: false, agent: false }), 'response') as [IncomingMessage]
    left.destroy()
    await until(() => openCount(large.path) === 0)
    t.equal((await request(`${origin}/${large.name}`)).sha256, large.sha256)
    t.equal(files(), 8)
    t.strictSame(app.ktls.stats().fallbacks, { data: 1 })
  })
}
