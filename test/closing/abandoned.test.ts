/*
 * A connection that the application destroys while the client has yet to take
 * what was reported as written, and each call of its lingering met by a fault.
 * Over the double alone: a kernel need not hold back a record here.
 */
import type { Duplex } from 'node:stream'
import t from 'tap'
import { get, requestOf } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { until } from '../support/wait'
import { startFaultServer } from '../faults/server'
import { arm, calls, fired, total } from '../faults/injector'
import type { Effect, Fault, Point } from '../faults/injector'

const CHUNK = 16_000
/** How often the lingering connection is looked at before the client reads on: after 1 ms, 2, 4, 8. */
const LOOKS = 4
const MAX_CALLS = 300
const MAX_ATTEMPTS = 5

const file = makeFile(makeFolder(t), 100_000)
const url = `/${file.name}`

let flooded: { reported: number } | undefined
/** Replies that have ended at the server: a client has the last byte before the sender has let go of the connection. */
let responded = 0
let faults: Fault[] = []

/** Writes until the socket takes no more, and destroys it. */
function flood (socket: Duplex): void {
  let reported = 0
  for (; socket.writableLength === 0; reported += CHUNK) socket.write(chunkAt(reported))
  arm(...faults)
  socket.destroy()
  flooded = { reported: reported - CHUNK }
}

/** No two are alike. */
function chunkAt (offset: number): Buffer {
  return Buffer.alloc(CHUNK, `${offset} `)
}

const starting = startFaultServer(t, file.path.slice(0, -url.length), url, app => {
  app.addHook('onResponse', async () => { responded++ })
  app.get('/flood', (request, reply) => {
    reply.hijack()
    flood(request.raw.socket)
  })
})

/** What the client gets of it: all that was reported as written, less, or what was never written. */
async function abandon (): Promise<'kept' | 'cut' | 'wrong'> {
  const { port, idle } = await starting
  arm()
  const before = responded
  const client = await get(port, url)
  const chunks: Buffer[] = []
  let size = 0
  let start = 0
  flooded = undefined
  client.tls.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    size += chunk.length
    if (start === 0) {
      const head = Buffer.concat(chunks).indexOf('\r\n\r\n')
      if (head < 0 || size < head + 4 + file.size) return
      start = head + 4 + file.size
      client.tls.pause()
    }
  })
  await until(() => start > 0 && responded > before)
  client.tls.write(requestOf('/flood'))
  await until(() => flooded !== undefined && (calls()['getsockopt SO_ERROR'] >= LOOKS || calls().close > 0))
  client.tls.resume()
  await until(() => client.tls.closed)
  await idle()
  const body = Buffer.concat(chunks).subarray(start)
  for (let offset = 0; offset < body.length; offset += CHUNK) {
    const got = body.subarray(offset, offset + CHUNK)
    if (!got.equals(chunkAt(offset).subarray(0, got.length))) return 'wrong'
  }
  if (client.records.endsWithAlert()) return 'wrong'
  return body.length >= flooded!.reported ? 'kept' : 'cut'
}

interface Row {
  readonly point: Point
  readonly effects: readonly Effect[]
  /** Taken for the end of the connection: what is held back is lost. */
  readonly ends?: true
}

const ROWS: readonly Row[] = [
  { point: 'getsockopt TCP_INFO', effects: ['EACCES', 'at most 100'] },
  { point: 'getsockopt TCP_INFO', effects: ['gone'], ends: true },
  { point: 'SIOCOUTQ', effects: ['EINVAL'] },
  { point: 'getsockopt TLS_TX', effects: ['EINVAL'] },
  { point: 'getsockopt SO_ERROR', effects: ['EACCES'] },
  { point: 'getsockopt SO_ERROR', effects: ['gone'], ends: true },
  { point: 'close', effects: ['EINTR', 'EIO'] }
]

/** Without a fault. Now and then TCP has all before it is asked, so that nothing is held back, and the connection is closed at once: then once more, here and below. */
async function holdBack (t: Tap.Test): Promise<void> {
  faults = []
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    t.equal(await abandon(), 'kept')
    if (calls()['getsockopt SO_ERROR'] >= LOOKS) return
  }
  t.fail('nothing was held back')
}

t.test('what was reported as written arrives', async t => {
  for (let run = 0; run < 3; run++) await holdBack(t)
})

for (const { point, effects, ends } of ROWS) {
  t.test(`${point}: ${effects.join(', ')}`, async t => {
    await holdBack(t)
    const usual = calls()[point]
    t.ok(usual > 0, `${usual} calls`)
    for (const effect of effects) {
      let met = 0
      for (let call = 1; call <= usual; call++) {
        faults = [{ point, effect, call }]
        const outcome = await abandon()
        met += fired()[point]
        t.ok(outcome === 'kept' || (ends === true && outcome === 'cut'), `${effect} at call ${call}: ${outcome}`)
        t.ok(total(calls()) < MAX_CALLS, `${total(calls())} calls`)
      }
      t.ok(met > 0)
    }
  })
}

t.test('every look fails', async t => {
  for (const [point, effect] of [['getsockopt TCP_INFO', 'EACCES'], ['SIOCOUTQ', 'EINVAL'], ['getsockopt TLS_TX', 'EINVAL'], ['getsockopt SO_ERROR', 'EACCES']] as const) {
    faults = [{ point, effect, call: 1, times: Infinity }]
    let met = false
    for (let attempt = 1; attempt <= MAX_ATTEMPTS && !met; attempt++) {
      t.not(await abandon(), 'wrong', point)
      met = fired()[point] > 0
    }
    t.ok(met)
  }
})
