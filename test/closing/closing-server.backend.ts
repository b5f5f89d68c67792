import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { certificate } from '../certificate'
import { SECURE } from '../support/backend'
import { get, readReply, receive } from '../support/client'
import type { Message } from '../support/closing-child'
import { endingOf, withAndWithout } from '../support/ending'
import type { Ending, Held } from '../support/ending'
import { makeFile, makeFolder } from '../support/files'
import { countPromotions } from '../support/kernel'
import { messageOf } from '../support/message'
import { atRest } from '../support/sleep'
import { keepAllBuffersSmall } from '../support/sockets'
import { serveFolder } from '../support/static'

const ABRUPT: Ending = { body: 'part', closeNotify: false, fin: true }

t.test('keepAliveTimeout ends an idle connection', async t => {
  const [plain, tested] = await withAndWithout(t, { fastify: { keepAliveTimeout: 300 } }, async ({ hold }) => endingOf(await hold('idle')))
  t.strictSame(tested, { ...ABRUPT, body: 'all' })
  t.strictSame(plain, tested)
})

t.test('connectionTimeout ends a transfer to a client that reads nothing', async t => {
  const [plain, tested] = await withAndWithout(t, { fastify: { connectionTimeout: 60_000 } }, async ({ hold }) => {
    const held = await hold('in mid-transfer')
    const { timeout } = held.socket
    const closed = once(held.socket, 'close')
    // Only now, as a slow processor may take as long for a handshake.
    held.socket.setTimeout(1000)
    await closed
    return { timeout, ...await endingOf(held) }
  })
  t.strictSame(tested, { timeout: 60_000, ...ABRUPT })
  t.strictSame(plain, tested)
})

/** The bytes that answer an unfinished request on a connection that has served a file. */
async function answerTo ({ client, file, receive }: Held, unfinished: string): Promise<{ answer: string, clean: boolean }> {
  client.tls.write(unfinished)
  const { body, clean } = await receive()
  return { answer: body.subarray(file.size).toString(), clean }
}

// Node ignores a requestTimeout that is shorter than headersTimeout.
for (const [name, requestTimeout, unfinished] of [
  ['headersTimeout', 0, 'GET / HTTP/1.1\r\nHost: local'],
  ['requestTimeout', 1000, 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nContent-Type: text/plain\r\n\r\nhalf']
] as const) {
  t.test(`${name} answers an unfinished request and ends its connection`, async t => {
    const [plain, tested] = await withAndWithout(t, {
      tls: { connectionsCheckingInterval: 100 },
      setup: app => { app.post('/', async () => 'all is there') }
    }, async ({ server, hold }) => {
      const held = await hold('idle')
      // Only now, as a slow processor may take as long for the first request.
      Object.assign(server.app.server, { headersTimeout: 1000, requestTimeout })
      return answerTo(held, unfinished)
    })
    t.match(tested.answer, 'HTTP/1.1 408 Request Timeout')
    t.strictSame(tested, plain)
  })
}

for (const forceCloseConnections of [true, false, 'idle'] as const) {
  t.test(`close() with forceCloseConnections ${forceCloseConnections}`, async t => {
    const [plain, tested] = await withAndWithout(t, { fastify: { forceCloseConnections } }, async ({ server, hold }) => {
      const idle = await hold('idle')
      const sending = await hold('in mid-transfer', ['Connection: close'])
      const closed = server.app.close()
      const idleEnding = await endingOf(idle)
      const endings = { idle: idleEnding, sending: await endingOf(sending) }
      await closed
      return endings
    })
    t.strictSame(tested, {
      idle: { ...ABRUPT, body: 'all' },
      sending: forceCloseConnections === true ? ABRUPT : { body: 'all', closeNotify: SECURE, fin: true }
    })
    t.strictSame(plain, tested)
  })
}

t.test('a server that closes when its client has the last byte ends the connection', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 300_000)
  for (let round = 0; round < 20; round++) {
    const { app, port } = await serveFolder(t, folder, { ktls: {}, fastify: { forceCloseConnections: 'idle' } })
    const client = await get(port, `/${file.name}`)
    t.equal((await readReply(client)).sha256, file.sha256)
    client.tls.resume()
    // Its keep-alive time is 72 seconds.
    await Promise.all([app.close(), once(client.tls, 'close')])
  }
})

t.test('on SIGTERM a process that closes its server finishes a transfer and ends', async t => {
  keepAllBuffersSmall(t)
  const file = makeFile(makeFolder(t), 4 << 20)
  const child = fork(join(__dirname, '../support/closing-child.js'), [file.path], {
    env: { ...process.env, KTLS_TEST_CERTIFICATE: JSON.stringify(await certificate()) }
  })
  t.teardown(() => { child.kill('SIGKILL') })
  const exited = once(child, 'exit')
  const message = () => messageOf<Message>(child)
  const started = await message()
  const client = await get('port' in started ? started.port : 0, '/', ['Connection: close'])
  await once(client.tls, 'readable')
  child.kill('SIGTERM')
  t.strictSame(await message(), { closing: true })
  const promoted = message()
  const { sha256, clean } = await receive(client)
  t.equal(sha256, file.sha256)
  t.ok(clean, 'close_notify came')
  t.strictSame(await promoted, { promoted: 1 })
  t.strictSame(await exited, [0, null])
})

t.test('afterwards the process sleeps', async t => {
  t.ok(countPromotions() > 0)
  await atRest(t)
})
