import { randomBytes } from 'node:crypto'
import t from 'tap'
import { SECURE } from '../support/backend'
import { sha256 } from '../support/files'
import { endingOf, files, withAndWithout } from '../support/ending'
import type { Ending, Held, Phase } from '../support/ending'
import { atRest } from '../support/sleep'
import { until } from '../support/wait'

type Way = Readonly<Record<string, (held: Held) => Promise<void> | void>>

const PHASES: readonly Phase[] = ['idle', 'in mid-transfer']
const CLEAN: Ending = { body: 'all', closeNotify: SECURE, fin: true }

/** Ends connections in each way and phase. With the plugin a file is one write of its socket, which an end waits for. */
function testWays (ways: Way, expected: (phase: Phase) => Ending): void {
  for (const [name, end] of Object.entries(ways)) {
    for (const phase of PHASES) {
      t.test(`${name}, ${phase}`, async t => {
        const [plain, tested] = await withAndWithout(t, {}, async ({ hold }) => {
          const held = await hold(phase)
          await end(held)
          return endingOf(held)
        })
        t.strictSame(tested, expected(phase))
        t.strictSame(plain, phase === 'idle' ? tested : { ...tested, body: 'part' })
      })
    }
  }
}

t.test('Connection: close', async t => {
  const [plain, tested] = await withAndWithout(t, {}, async ({ hold }) => endingOf(await hold('in mid-transfer', ['Connection: close'])))
  t.strictSame(tested, CLEAN)
  t.strictSame(plain, tested)
})

testWays({
  'the application calls end()': ({ socket }) => { socket.end() },
  'the application calls destroySoon()': ({ socket }) => { socket.destroySoon() },
  'the client sends a FIN alone': async ({ client, socket }) => {
    client.tcp.end()
    await until(() => socket.readableEnded)
  }
}, () => CLEAN)

testWays({
  'the application calls destroy()': ({ socket }) => { socket.destroy() }
}, phase => ({ body: phase === 'idle' ? 'all' : 'part', closeNotify: false, fin: true }))

// A client that has closed its side as well closes when it reads close_notify, before the FIN.
testWays({
  'the client sends close_notify and FIN': async ({ client, socket }) => {
    client.tls.end()
    await until(() => socket.readableEnded)
  },
  'both sides end at once': ({ client, socket }) => {
    client.tls.end()
    socket.end()
  }
}, () => ({ ...CLEAN, fin: !SECURE }))

t.test('an idle client leaves without close_notify', async t => {
  for (const how of ['by a FIN', 'by a reset']) {
    await withAndWithout(t, {}, async ({ hold }) => {
      const { client, socket } = await hold('idle')
      if (how === 'by a FIN') client.tls.destroy()
      else client.tcp.resetAndDestroy()
      await until(() => socket.closed)
    })
  }
})

t.test('a client that ends its side after a request and goes on reading', async t => {
  for (const halfOpen of [false, true]) {
    const [plain, tested] = await withAndWithout(t, {
      tls: { allowHalfOpen: halfOpen },
      setup: app => {
        Object.assign(app.server, { httpAllowHalfOpen: halfOpen })
        app.get('/late', async (request, reply) => {
          await until(() => request.raw.socket.readableEnded)
          return reply.sendFile(files['in mid-transfer'].name)
        })
      }
    }, async ({ hold }) => {
      const { client, file, receive } = await hold('idle')
      client.tls.end('GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n')
      const { body, clean } = await receive()
      const second = body.subarray(file.size)
      const start = second.indexOf('\r\n\r\n') + 4
      return {
        first: sha256(body.subarray(0, file.size)) === file.sha256,
        status: second.subarray(0, 12).toString(),
        second: sha256(second.subarray(start)),
        clean
      }
    })
    t.strictSame(tested, {
      first: true,
      status: halfOpen ? 'HTTP/1.1 200' : '',
      second: halfOpen ? files['in mid-transfer'].sha256 : sha256(''),
      clean: true
    }, halfOpen ? 'gets its reply where the server allows it' : 'gets nothing more by default')
    t.strictSame(plain, tested)
  }
})

const CHUNK = 64 << 10

/** Writes until the connection's buffers are full; returns how many bytes were reported as written. */
async function fill ({ socket }: Held, content: Buffer): Promise<number> {
  for (let at = 0; at < content.length; at += CHUNK) {
    socket.write(content.subarray(at, at + CHUNK))
    for (let turns = 0; socket.writableLength > 0; turns++) {
      if (turns === 50) return at
      await new Promise(setImmediate)
    }
  }
  throw new Error('the buffers took everything')
}

t.test('what was reported as written arrives, though the client had read nothing of it', async t => {
  const content = randomBytes(64 << 20)
  for (const how of ['end', 'destroySoon', 'destroy'] as const) {
    await withAndWithout(t, { largeBuffers: true }, async ({ hold }) => {
      const held = await hold('idle')
      held.client.tls.pause()
      const reported = await fill(held, content)
      held.socket[how]()
      held.client.tls.resume()
      const { body, clean } = await held.receive()
      const got = body.subarray(held.file.size)
      const atLeast = how === 'destroy' ? reported : reported + CHUNK
      t.ok(got.length >= atLeast, `${how}: ${got.length} of ${atLeast} bytes`)
      t.equal(sha256(got), sha256(content.subarray(0, got.length)))
      t.equal(clean, how !== 'destroy' || !SECURE, 'close_notify')
    })
  }
})

t.test('a process with quiet connections sleeps', async t => {
  await withAndWithout(t, { tls: { allowHalfOpen: true } }, async ({ hold }) => {
    const idle = await hold('idle')
    const halfClosed = await hold('idle')
    halfClosed.socket.end()
    await until(() => halfClosed.socket.writableFinished)
    const stuck = await hold('in mid-transfer')
    await until(() => stuck.socket.writableLength > 0)
    await atRest(t)
    for (const { client } of [idle, halfClosed, stuck]) client.tcp.resetAndDestroy()
  })
})
