import '../double/install'
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { Client } from 'undici'
import { statsOf } from '../support/backend'
import { ask, get, open, readReply, receive, requestOf } from '../support/client'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { request } from '../support/request'
import { startServer } from '../support/server'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'
import { startChild } from '../support/child'
import type { Uncaught } from '../support/child-server'

const folder = makeFolder(t)
const large = makeFile(folder, 8_000_001)

/** The store that each request's onResponse hook finds, and its own URL; one request after the other, or all in one record. */
async function storesInOnResponse (t: Tap.Test, options: { ktls?: object }, pipelined: boolean): Promise<unknown[]> {
  const storage = new AsyncLocalStorage<string>()
  const stores: unknown[] = []
  const { port } = await startServer(t, {
    ...options,
    setup: app => {
      app.addHook('onRequest', (request, _reply, done) => storage.run(request.url, done))
      app.addHook('onResponse', async request => { stores.push([request.url, storage.getStore()]) })
      app.get('/:number', (_request, reply) => reply.header('content-length', large.size).send(createReadStream(large.path)))
    }
  })
  const client = await open(port)
  if (pipelined) client.tls.write(URLS.map(url => requestOf(url)).join(''))
  for (const url of URLS) {
    if (!pipelined) ask(client, url)
    t.equal((await readReply(client)).sha256, large.sha256)
  }
  await until(() => stores.length === URLS.length)
  client.tls.destroy()
  return stores
}

const URLS = ['/1', '/2', '/3', '/4']

t.test('the async context in onResponse is the one that it is without the plugin', async t => {
  for (const pipelined of [false, true]) {
    const stores = await storesInOnResponse(t, { ktls: {} }, pipelined)
    t.strictSame(stores, await storesInOnResponse(t, {}, pipelined))
    if (!pipelined) t.strictSame(stores, URLS.map(url => [url, url]))
  }
})

const REQUESTS = 300

t.test('pipelined requests, each in a TLS record of its own', async t => {
  const file = makeFile(folder, 100_001)
  const { app, port } = await serveFolder(t, folder, { ktls: {} })
  const client = await get(port, `/${file.name}`)
  const lines = (last: boolean) => [`GET /${file.name} HTTP/1.1`, 'Host: localhost', ...(last ? ['Connection: close'] : []), '', '']
  let sent = 1
  // A write that waits for another one would share its record.
  const next = () => {
    if (sent++ < REQUESTS) client.tls.write(lines(sent === REQUESTS).join('\r\n'), next)
  }
  next()
  const { head, body } = await receive(client)
  const replies = Buffer.concat([Buffer.from(head, 'latin1'), body])
  let right = 0
  for (let at = 0; at < replies.length; right++) {
    const start = replies.indexOf('\r\n\r\n', at) + 4
    at = start + file.size
    if (sha256(replies.subarray(start, at)) !== file.sha256) break
  }
  t.equal(right, REQUESTS)
  t.match(statsOf(app), { connections: { seen: 1, promoted: 1 }, replies: { file: REQUESTS } })
})

t.test('what a write callback throws is an uncaught exception', async t => {
  for (const plugin of [false, true]) {
    const { child, origin } = await startChild(t, { path: large.path, plugin })
    const client = new Client(origin, { connect: { rejectUnauthorized: false } })
    t.teardown(() => client.destroy())
    const message = once(child, 'message') as Promise<[Uncaught]>
    for (const path of ['/file', '/throws']) {
      const { body } = await client.request({ path, method: 'GET' })
      t.ok((await body.arrayBuffer()).byteLength >= large.size)
    }
    t.strictSame((await message)[0], { uncaught: 'thrown by a callback', promoted: plugin ? 1 : 0 })
    t.equal((await request(`${origin}/file`)).sha256, large.sha256, 'the server goes on')
  }
})

t.test('process.exit() after the end of a reply loses nothing of it', async t => {
  for (let round = 0; round < 5; round++) {
    // With a limit the double always holds back the last record, as a kernel can.
    const { child, port } = await startChild(t, { path: large.path }, { KTLS_DOUBLE_SEND_LIMIT: '1000000' }, { silent: true })
    const exited = once(child, 'exit')
    const output = text(child.stdout!)
    const { sha256 } = await receive(await get(port, '/exit'))
    t.equal(sha256, large.sha256)
    t.strictSame(await exited, [0, null])
    t.match(JSON.parse(await output), { exact: 1 }, 'the process ended when TCP had all')
  }
})
