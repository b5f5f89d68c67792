import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import type { ReadStream } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { PassThrough, Transform } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import compress from '@fastify/compress'
import fastifyStatic from '@fastify/static'
import t from 'tap'
import { Client } from 'undici'
import { AFTER_FILE, ONLY, statsOf } from '../support/backend'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { countPromotions } from '../support/kernel'
import { ktls } from '../support/plugin'
import { request } from '../support/request'
import { startServer } from '../support/server'

for (const order of ['before', 'after'] as const) {
  t.test(`@fastify/compress registered ${order} the plugin`, async t => {
    const folder = makeFolder(t)
    const file = makeFile(folder, 300_000, 'page.json')
    const { app, origin } = await startServer(t, {
      setup: async app => {
        if (order === 'before') await app.register(compress)
        await app.register(ktls, ONLY)
        if (order === 'after') await app.register(compress)
        await app.register(fastifyStatic, { root: folder })
      }
    })
    const packed = await request(`${origin}/page.json`, { headers: { 'accept-encoding': 'gzip' } })
    t.equal(packed.headers['content-encoding'], 'gzip')
    t.equal(sha256(gunzipSync(packed.body)), file.sha256)
    t.strictSame(statsOf(app).replies, { file: 0, write: 0, node: 1 })

    const before = countPromotions()
    const plain = await request(`${origin}/page.json`, { headers: { 'accept-encoding': 'identity' } })
    t.equal(plain.sha256, file.sha256)
    t.equal(countPromotions() - before, 1, 'what is not compressed still goes by the kernel')
  })
}

t.test('hooks registered later that look into or replace the stream', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 300_000)
  let seen = 0
  const { origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      const send = { handler: (_request: unknown, reply: import('fastify').FastifyReply) => reply.send(createReadStream(file.path)) }
      app.get('/listened', {
        ...send,
        onSend: async (_request, _reply, payload) => {
          (payload as NodeJS.ReadableStream).on('data', chunk => { seen += chunk.length })
          return payload
        }
      })
      app.get('/replaced', {
        ...send,
        onSend: async (_request, _reply, payload) => (payload as NodeJS.ReadableStream).pipe(new Transform({
          transform: (chunk, _encoding, callback) => callback(null, chunk)
        }))
      })
      app.get('/teed', {
        ...send,
        onSend: async (_request, _reply, payload) => {
          (payload as NodeJS.ReadableStream).pipe(new PassThrough()).resume()
          return payload
        }
      })
      app.get('/longer', {
        ...send,
        onSend: async (_request, _reply, payload) => (payload as NodeJS.ReadableStream).pipe(new Transform({
          transform: (chunk, _encoding, callback) => callback(null, Buffer.concat([chunk, Buffer.from('!')]))
        }))
      })
    }
  })
  for (const url of ['/listened', '/replaced', '/teed']) {
    t.equal((await request(origin + url)).sha256, file.sha256, url)
    const [decision] = await decisions(1)
    t.equal(decision!.path, 'node')
    t.equal(decision!.reason, url === '/replaced' ? 'payload-wrapped' : 'stream-in-use')
  }
  t.equal(seen, file.size)
  const longer = await request(`${origin}/longer`)
  t.equal(longer.headers['content-length'], undefined, 'no Content-Length of the file on a longer body')
  t.ok(longer.body.length > file.size)
})

t.test('trailers, and headers set up to the last hook', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 300_000)
  const { origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/trailers', (_request, reply) => {
        reply.trailer('x-checked', async () => 'yes')
        return reply.send(createReadStream(file.path))
      })
      app.get('/late', {
        onSend: async (_request, reply, payload) => {
          reply.header('x-late', 'set')
          return payload
        }
      }, (_request, reply) => reply.send(createReadStream(file.path)))
    }
  })
  const trailers = await request(`${origin}/trailers`)
  t.equal(trailers.sha256, file.sha256)
  t.equal(trailers.headers['transfer-encoding'], 'chunked')
  const late = await request(`${origin}/late`)
  t.equal(late.sha256, file.sha256)
  t.equal(late.headers['x-late'], 'set')
  t.equal(late.headers['content-length'], String(file.size))
  t.match(await decisions(2), [{ path: 'node', reason: 'trailers' }, { path: 'file', reason: null }])
})

/** As the package on-headers does: `listener` has the last word on the head. */
function beforeHead (response: ServerResponse, listener: () => void): void {
  const { writeHead } = response
  response.writeHead = function (this: ServerResponse, ...args: unknown[]) {
    response.writeHead = writeHead
    listener()
    return Reflect.apply(writeHead, this, args)
  }
}

t.test('hooks that come when the head is written', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 300_000)
  const { origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/file', (_request, reply) => reply.send(createReadStream(file.path)))
      app.get('/named', (_request, reply) => {
        beforeHead(reply.raw, () => reply.raw.setHeader('x-late', 'set'))
        return reply.send(createReadStream(file.path))
      })
      app.get('/chunked', (_request, reply) => {
        beforeHead(reply.raw, () => {
          reply.raw.setHeader('content-encoding', 'identity')
          reply.raw.removeHeader('content-length')
        })
        return reply.send(createReadStream(file.path))
      })
      app.get('/throws', (_request, reply) => {
        beforeHead(reply.raw, () => { throw new Error('no head today') })
        return reply.send(createReadStream(file.path))
      })
    }
  })
  const client = new Client(origin, { connect: { rejectUnauthorized: false } })
  t.teardown(() => client.close())
  const get = async (path: string) => {
    const { statusCode, headers, body } = await client.request({ path, method: 'GET' })
    return { statusCode, headers, body: Buffer.from(await body.arrayBuffer()) }
  }
  const before = countPromotions()
  for (const [path, reason] of [['/file', null], ['/named', null], ['/chunked', 'transfer-encoding'], ['/file', null]] as const) {
    const { headers, body } = await get(path)
    t.equal(sha256(body), file.sha256, path)
    t.equal(headers['content-length'], reason === null ? String(file.size) : undefined, path)
    t.equal(headers['x-late'], path === '/named' ? 'set' : undefined, path)
    t.match(await decisions(1), [{ path: reason === null ? 'file' : AFTER_FILE, reason }], path)
  }
  const failed = await get('/throws')
  t.equal(failed.statusCode, 500)
  t.match(JSON.parse(failed.body.toString()), { message: 'no head today' })
  await decisions(1)
  t.equal(sha256((await get('/file')).body), file.sha256, 'the connection goes on')
  t.match(await decisions(1), [{ path: 'file', reason: null }])
  t.equal(countPromotions() - before, 1, 'all on one connection')
})

t.test('an application that reads its stream out while the kernel sends the file', async t => {
  const folder = makeFolder(t)
  // More than the buffers of both sides take from a server whose client waits.
  const file = makeFile(folder, 20_000_000)
  let sent: ReadStream | undefined
  let readOut: Promise<unknown> | undefined
  const { origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/file', (_request, reply) => {
        sent = createReadStream(file.path)
        readOut = once(sent, 'close')
        return reply.send(sent)
      })
    }
  })
  const resume = () => sent?.resume()
  subscribe('fastify-ktls.transfer.started', resume)
  t.teardown(() => unsubscribe('fastify-ktls.transfer.started', resume))
  const client = new Client(origin, { connect: { rejectUnauthorized: false } })
  t.teardown(() => client.close())
  for (const reply of ['first', 'next']) {
    const { body } = await client.request({ path: '/file', method: 'GET' })
    await readOut
    t.equal(sha256(Buffer.from(await body.arrayBuffer())), file.sha256, reply)
    t.match(await decisions(1), [{ path: 'file', reason: null }])
  }
})
