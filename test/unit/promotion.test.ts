import type { TLSSocket } from 'node:tls'
import t from 'tap'
import type { FallbackReason, Support } from '../../types/index'
import type { Refusal, Session } from '../../lib/binding'
import { Connection } from '../../lib/connection/connections'
import { Promoter } from '../../lib/connection/promotion'
import { Counters } from '../../lib/observe/stats'

const CIPHER = 'TLS_AES_128_GCM_SHA256'
const support = { versions: { 'TLSv1.3': { 'aes-128-gcm': true } } } as unknown as Support

/** A socket and a session that gives these refusals in turn, and from then on the last one. */
function refusing (...refusals: FallbackReason[]) {
  const socket = {
    _handle: { fd: 0 },
    writableLength: 0,
    destroyed: false,
    localAddress: '127.0.0.1',
    getProtocol: () => 'TLSv1.3',
    getCipher: () => ({ standardName: CIPHER }),
    getFinished: () => Buffer.alloc(12)
  }
  const asked = { times: 0, forgotten: false }
  const warnings: unknown[] = []
  const session = {
    matches: () => true,
    forget: () => { asked.forgotten = true },
    promote: () => ({ refusal: refusals[Math.min(asked.times++, refusals.length - 1)]!, error: -24, call: 'fcntl' }) satisfies Refusal
  } as unknown as Session
  const connection = new Connection([session])
  const promoter = new Promoter(support, new Counters(), { debug: () => {}, warn: (message: unknown) => { warnings.push(message) } })
  const promote = () => new Promise<FallbackReason | undefined>(resolve => {
    promoter.promote(connection, socket as unknown as TLSSocket, resolve)
  })
  return { asked, connection, promote, socket, warnings }
}

t.test('a connection that is not ready is asked again, a few turns of the event loop long', async t => {
  const { asked, promote } = refusing('not-ready', 'not-ready', 'no-resources')
  t.equal(await promote(), 'no-resources')
  t.equal(asked.times, 3)
  const never = refusing('not-ready')
  t.equal(await never.promote(), 'not-ready')
  t.ok(never.asked.times > 1)
  t.equal(never.asked.forgotten, false, 'the next reply may try again')
})

t.test('nothing is asked of OpenSSL while the socket has bytes to write', async t => {
  const { asked, promote, socket } = refusing('no-resources')
  socket.writableLength = 1
  t.equal(await promote(), 'not-ready')
  t.equal(asked.times, 0)
})

t.test('resources may be there again for the next reply', async t => {
  const { asked, connection, promote, warnings } = refusing('no-resources')
  for (let reply = 1; reply <= 2; reply++) {
    t.equal(await promote(), 'no-resources')
    t.equal(asked.times, reply)
  }
  t.equal(connection.refusal, undefined)
  t.strictSame(warnings, ['fastify-ktls: a connection stays with OpenSSL (no-resources): fcntl failed with EMFILE'], 'said once')
  t.equal(asked.forgotten, false)
})

t.test('every other refusal is final, and the secrets are forgotten', async t => {
  const { asked, connection, promote } = refusing('kernel-refused')
  for (let reply = 1; reply <= 2; reply++) t.equal(await promote(), 'kernel-refused')
  t.equal(asked.times, 1)
  t.equal(connection.refusal, 'kernel-refused')
  t.ok(asked.forgotten)
})
