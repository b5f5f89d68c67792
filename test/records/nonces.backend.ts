/*
 * No nonce is used twice under a key, by OpenSSL and the backend together. In TLS 1.3, and in
 * TLS 1.2 with ChaCha20-Poly1305, the record's number is the nonce: there it is enough that
 * the client can open each record under the next number, as it does in every test. In TLS 1.2
 * with GCM the nonce is in the record (RFC 5288 3), and a client takes any.
 */
import { createReadStream, readFileSync } from 'node:fs'
import type { ReadStream } from 'node:fs'
import t from 'tap'
import { ask, get, open, readReply, receive } from '../support/client'
import type { RawClient, Reply } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { countPromotions } from '../support/kernel'
import { connectRecords, SUITES } from '../support/record-client'
import { keepAllBuffersSmall } from '../support/sockets'
import { serveFolder } from '../support/static'

const JSON_REPLY = { some: 'json' }
const BIG = 40_000_000

const folder = makeFolder(t)
const file = makeFile(folder, 1_000_001)
const big = makeFile(folder, BIG)

/** A server with replies of both kinds, and one whose file's stream can be destroyed. */
async function serve (t: Tap.Test) {
  const streams: ReadStream[] = []
  const server = await serveFolder(t, folder, {
    ktls: {},
    setup: app => {
      app.get('/json', async () => JSON_REPLY)
      app.get('/cut', (_request, reply) => {
        const stream = createReadStream(big.path)
        streams.push(stream)
        return reply.send(stream)
      })
    }
  })
  return { ...server, cut: () => { streams.at(-1)!.destroy() } }
}

/** Of OpenSSL's records first, then the backend's: none twice, and from `own` on each one more than the one before. */
function check (t: Tap.Test, { records }: RawClient, own: number): void {
  const nonces = records.nonces()
  t.equal(new Set(nonces).size, nonces.length, `none of ${nonces.length} nonces comes twice`)
  const breaks = nonces.flatMap((nonce, index) => index > 0 && nonce !== BigInt.asUintN(64, nonces[index - 1]! + 1n) ? [index] : [])
  t.strictSame(breaks, [own], "they count up, but for the backend's first")
}

for (const ciphers of ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384']) {
  const options = { maxVersion: 'TLSv1.2', ciphers } as const
  /** OpenSSL's Finished, which comes before all else. */
  const FINISHED = 1

  t.test(`explicit nonces, ${ciphers}`, async t => {
    const { port, decisions } = await serve(t)
    const before = countPromotions()
    const client = await open(port, options)
    const fetch = (path: string, ...headers: readonly string[]): Promise<Reply> => {
      ask(client, path, headers)
      return readReply(client)
    }
    t.strictSame(JSON.parse((await fetch('/json')).body.toString()), JSON_REPLY)
    t.strictSame(JSON.parse((await fetch('/json')).body.toString()), JSON_REPLY)
    for (let i = 0; i < 3; i++) {
      t.equal((await fetch(`/${file.name}`)).sha256, file.sha256)
      t.strictSame(JSON.parse((await fetch('/json')).body.toString()), JSON_REPLY)
    }
    ask(client, `/${file.name}`, ['Connection: close'])
    const last = await receive(client)
    t.equal(last.sha256, file.sha256)
    t.ok(last.clean)
    t.match((await decisions(9)).map(({ path }) => path), ['node', 'node', 'file', 'write', 'file', 'write', 'file', 'write', 'file'])
    t.equal(countPromotions(), before + 1)
    check(t, client, FINISHED + 2)
  })

  t.test(`explicit nonces of a transfer that is cut, ${ciphers}`, async t => {
    keepAllBuffersSmall(t)
    const { port, cut } = await serve(t)
    const client = await get(port, '/cut', [], options)
    client.tls.once('readable', cut)
    const { body, clean } = await receive(client)
    t.notOk(clean)
    t.ok(body.length < BIG && body.equals(readFileSync(big.path).subarray(0, body.length)), 'what came is right')
    check(t, client, FINISHED)
  })
}

for (const suite of Object.keys(SUITES)) {
  t.test(`the numbers of a transfer that is cut, ${suite}`, async t => {
    keepAllBuffersSmall(t)
    const { port, cut } = await serve(t)
    const client = await connectRecords(port, suite)
    client.get(`/${file.name}`)
    t.equal((await client.reply()).sha256, file.sha256)
    client.get('/json')
    client.get('/cut')
    await client.reply()
    client.once('progress', cut)
    // It throws at a record that is not under the next number.
    t.notOk((await client.reply()).complete)
    t.strictSame(client.alerts, [])
  })
}
