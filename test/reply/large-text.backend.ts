/* A large text that nobody else sees on its way: it is handed to the backend as it is, under each head as Node sends it. */
import { randomBytes } from 'node:crypto'
import type { FastifyReply } from 'fastify'
import t from 'tap'
import { SECURE } from '../support/backend'
import { ask, get, readReply, receive } from '../support/client'
import { sha256 } from '../support/files'
import { startServer } from '../support/server'

const text = randomBytes(2_000_000).toString('base64')

/** How often the length of a large text is asked for from now on: a pass over all of it each time. */
function countLengths (t: Tap.Test): () => number {
  const { byteLength } = Buffer
  let count = 0
  Buffer.byteLength = (value, encoding) => {
    if (typeof value === 'string' && value.length >= text.length) count++
    return byteLength(value, encoding)
  }
  t.teardown(() => { Buffer.byteLength = byteLength })
  return () => count
}

t.test('a text that nobody else sees on its way is looked through once', async t => {
  const seen: string[] = []
  const { port } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/unseen', async () => text)
      app.register(async context => {
        context.addHook('onSend', async (_request, _reply, payload) => { seen.push(typeof payload) })
        context.get('/seen', async () => text)
      })
      app.get('/patched', (_request, { raw }) => {
        const { end } = raw
        raw.end = function (this: typeof raw, ...args: Parameters<typeof end>) {
          seen.push(typeof args[0])
          return end.apply(this, args)
        } as typeof end
        return text
      })
    }
  })
  const client = await get(port, '/unseen')
  t.equal((await readReply(client)).sha256, sha256(text))
  const lengths = countLengths(t)
  ask(client, '/unseen')
  t.equal((await readReply(client)).sha256, sha256(text))
  if (SECURE) t.equal(lengths(), 1)
  for (const path of ['/seen', '/patched']) {
    ask(client, path)
    t.equal((await readReply(client)).sha256, sha256(text))
  }
  t.strictSame(seen, ['string', 'string'])
  client.tls.destroy()
})

t.test('texts under other heads, byte for byte as without the plugin', async t => {
  const heads: Record<string, (reply: FastifyReply) => void> = {
    trailers: reply => { reply.trailer('x-after', async () => 'all') },
    chunked: reply => { reply.raw.setHeader('transfer-encoding', 'chunked') },
    strict: reply => { reply.raw.strictContentLength = true },
    'its own length': reply => { reply.header('content-length', 5) },
    'of raw': reply => { reply.raw.setHeader('x-raw', 'räw') },
    cookies: reply => { reply.header('set-cookie', ['a=1', 'b=2']) }
  }
  const bytesOf = async (plugin: boolean) => {
    const { port } = await startServer(t, {
      ...plugin && { ktls: {} },
      setup: app => {
        app.addHook('onRequest', async (request, reply) => heads[decodeURIComponent(request.url.slice(1))]?.(reply))
        for (const name of Object.keys(heads)) app.get(`/${encodeURIComponent(name)}`, async () => 'ä€' + text)
        app.get('/first', async () => text)
      }
    })
    const all: string[] = []
    for (const name of Object.keys(heads)) {
      // On a connection that has a backend.
      const client = await get(port, '/first')
      await readReply(client)
      ask(client, `/${encodeURIComponent(name)}`, ['Connection: close'])
      const { head, body } = await receive(client)
      all.push(name, head.replace(/^date: .*$/im, ''), sha256(body))
    }
    return all
  }
  t.strictSame(await bytesOf(true), await bytesOf(false))
})
