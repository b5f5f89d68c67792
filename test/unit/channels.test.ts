import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { publishAborted, publishFallback, publishFinished, publishPromoted, publishRekeyed, publishStarted } from '../../lib/observe/channels'
import { CHANNELS, listen } from '../support/events'

/** Says that somebody has looked. */
function untouchable (): never {
  return new Proxy({}, { get (_target, name) { throw new Error(`${String(name)} is read`) } }) as never
}

const request = {} as FastifyRequest
const socket = { getProtocol: () => 'TLSv1.3', getCipher: () => ({ standardName: 'TLS_AES_128_GCM_SHA256' }) } as unknown as TLSSocket
const part = { backend: 'threads', offset: 1, length: 2 } as const
const error = new Error('cut')

t.test('unheard, no message is made', async t => {
  t.doesNotThrow(() => {
    publishPromoted(untouchable(), 'kernel')
    publishRekeyed(untouchable())
    publishFallback(untouchable(), 'node', 'too-small')
    publishStarted(untouchable(), untouchable(), untouchable())
    publishFinished(untouchable(), untouchable(), untouchable())
    publishAborted(untouchable(), untouchable(), untouchable(), 0, null)
  })
})

t.test('heard, each message is what its type says', async t => {
  const heard = listen(t)
  publishPromoted(socket, 'threads')
  publishRekeyed(socket)
  publishFallback(request, 'write', 'too-small')
  publishStarted(request, socket, part)
  publishFinished(request, socket, part)
  publishAborted(request, socket, part, 1, error)
  t.strictSame(heard.map(({ event }) => `fastify-ktls.${event}`), CHANNELS)
  t.strictSame(heard.map(({ message }) => message), [
    { socket, backend: 'threads', version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256' },
    { socket },
    { request, path: 'write', reason: 'too-small' },
    { request, socket, ...part },
    { request, socket, ...part },
    { request, socket, ...part, sent: 1, error }
  ])
})

t.test('one event can be heard without the others', async t => {
  let count = 0
  const onMessage = () => { count++ }
  subscribe('fastify-ktls.reply.fallback', onMessage)
  t.teardown(() => { unsubscribe('fastify-ktls.reply.fallback', onMessage) })
  publishPromoted(untouchable(), 'kernel')
  publishFallback(request, 'node', 'no-body')
  t.equal(count, 1)
})
