import { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { TLSSocket } from 'node:tls'
import Fastify from 'fastify'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { Decisions, OFF, PENDING, decision, declareDecision, isOptedOut, refuseRequest } from '../../lib/reply/decisions'
import { Counters } from '../../lib/observe/stats'
import { BY_NODE } from '../../lib/way'

const tcp = new Socket()
const secure = new TLSSocket(new PassThrough())
t.teardown(() => { secure.destroy() })

/** As much of a request as the decision looks at. */
function requestOf (socket: unknown, httpVersionMajor = 1): FastifyRequest {
  return { raw: { socket, httpVersionMajor } } as unknown as FastifyRequest
}

t.test('why no reply to a request can be offloaded', async t => {
  for (const [what, request, reason] of [
    ['HTTPS', requestOf(secure), undefined],
    ['HTTP/2', requestOf(secure, 2), 'http2'],
    ['HTTP/2 without TLS', requestOf(tcp, 2), 'http2'],
    ['HTTP', requestOf(tcp), undefined],
    ['inject()', requestOf(new PassThrough()), 'inject']
  ] as const) t.equal(refuseRequest(request), reason, what)
})

t.test("a route's own wish", async t => {
  for (const [config, expected] of [[{}, false], [{ ktls: true }, false], [{ ktls: false }, true]] as const) {
    t.equal(isOptedOut({ routeOptions: { config } } as unknown as FastifyRequest), expected)
  }
})

t.test('a decision says by which path, by whom and over what', async t => {
  const protocol = { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256' }
  const offloaded = decision({ path: 'file', backend: 'threads' }, null, protocol)
  t.strictSame(offloaded, { offloaded: true, path: 'file', backend: 'threads', ...protocol, reason: null })
  t.strictSame(decision({ path: 'write', backend: 'kernel' }, 'too-small', protocol), { offloaded: false, path: 'write', backend: 'kernel', ...protocol, reason: 'too-small' })
  t.strictSame(decision(BY_NODE, 'plain-http', null), { offloaded: false, path: 'node', backend: null, version: null, cipher: null, reason: 'plain-http' })
  t.ok(Object.isFrozen(offloaded))
})

t.test('what stands before a decision, and in its place', async t => {
  t.strictSame(PENDING, { offloaded: false, path: null, backend: null, version: null, cipher: null, reason: 'pending' })
  t.strictSame(OFF, { offloaded: false, path: 'node', backend: null, version: null, cipher: null, reason: 'off' })
  t.ok(Object.isFrozen(PENDING))
  t.ok(Object.isFrozen(OFF))
})

t.test('a renegotiated cipher shows in the next decision', async t => {
  const app = Fastify()
  const decisions = new Decisions(new Counters(), 'auto')
  declareDecision(app)
  app.get('/', async request => {
    Object.defineProperty(request.raw, 'socket', { value: secure })
    decisions.decide(request, BY_NODE, 'too-small')
    return decisions.of(request)
  })
  secure.getProtocol = () => 'TLSv1.2'
  for (const cipher of ['first', 'second']) {
    secure.getCipher = () => ({ name: '', standardName: cipher, version: 'TLSv1.2' })
    for (let reply = 0; reply < 2; reply++) {
      t.match((await app.inject('/')).json(), { path: 'node', reason: 'too-small', version: 'TLSv1.2', cipher })
    }
    // As Node does at the end of each handshake.
    secure.emit('secure')
  }
})
