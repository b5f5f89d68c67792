import { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { OFF, PENDING, decision, refuseRequest } from '../../lib/decisions'

const tcp = new Socket()
const secure = new TLSSocket(new PassThrough())
t.teardown(() => { secure.destroy() })

/** As much of a request as the decision looks at. */
function requestOf (socket: unknown, { httpVersionMajor = 1, config = {} }: { httpVersionMajor?: number, config?: object } = {}): FastifyRequest {
  return { raw: { socket, httpVersionMajor }, routeOptions: { config } } as unknown as FastifyRequest
}

t.test('why no reply to a request can be offloaded', async t => {
  for (const [what, request, reason] of [
    ['HTTPS', requestOf(secure), undefined],
    ['HTTPS, route opted in', requestOf(secure, { config: { ktls: true } }), undefined],
    ['HTTPS, route opted out', requestOf(secure, { config: { ktls: false } }), 'route-opted-out'],
    ['HTTP/2', requestOf(secure, { httpVersionMajor: 2 }), 'http2'],
    ['HTTP/2 without TLS', requestOf(tcp, { httpVersionMajor: 2 }), 'http2'],
    ['HTTP', requestOf(tcp), 'plain-http'],
    ['inject()', requestOf(new PassThrough()), 'inject'],
    ['inject(), route opted out', requestOf(new PassThrough(), { config: { ktls: false } }), 'route-opted-out']
  ] as const) t.equal(refuseRequest(request), reason, what)
})

t.test('a decision says by which path, and over what', async t => {
  secure.getProtocol = () => 'TLSv1.3'
  secure.getCipher = () => ({ name: 'n', standardName: 'TLS_AES_128_GCM_SHA256', version: 'TLSv1.3' })
  const offloaded = decision(requestOf(secure), 'sendfile', null)
  t.strictSame(offloaded, { offloaded: true, path: 'sendfile', version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', reason: null })
  t.strictSame(decision(requestOf(secure), 'write', 'too-small'), {
    offloaded: false, path: 'write', version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', reason: 'too-small'
  })
  t.strictSame(decision(requestOf(tcp), 'node', 'plain-http'), {
    offloaded: false, path: 'node', version: null, cipher: null, reason: 'plain-http'
  })
  t.ok(Object.isFrozen(offloaded))
})

t.test('what stands before a decision, and in its place', async t => {
  t.strictSame(PENDING, { offloaded: false, path: null, version: null, cipher: null, reason: 'pending' })
  t.strictSame(OFF, { offloaded: false, path: 'node', version: null, cipher: null, reason: 'off' })
  t.ok(Object.isFrozen(PENDING))
  t.ok(Object.isFrozen(OFF))
})
