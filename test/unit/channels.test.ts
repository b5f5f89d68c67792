import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { publishAborted, publishFallback, publishFinished, publishPromoted, publishRekeyed, publishStarted } from '../../lib/observe/channels'
import { CHANNELS, listen } from '../support/events'

/** Says that somebody has looked. */
function untouchable (): never {
  return new Proxy({}, { get (_target, name) { throw new Error(`${String(name)} is read`) } }) as never
}

const request = {} as FastifyRequest
const socket: TLSSocket = Object.create(TLSSocket.prototype, {
  getProtocol: { value: () => 'TLSv1.3' },
  getCipher: { value: () => ({ standardName: 'TLS_AES_128_GCM_SHA256' }) }
})
const plainSocket = new Socket()
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
  publishPromoted(plainSocket, 'plain')
  publishRekeyed(socket)
  publishFallback(request, 'write', 'too-small')
  publishStarted(request, socket, part)
  publishFinished(request, socket, part)
  publishAborted(request, socket, part, 1, error)
  t.strictSame([...new Set(heard.map(({ event }) => `fastify-ktls.${event}`))], CHANNELS)
  const messages = heard.map(({ message }) => message)
  for (const [index, expected] of [socket, plainSocket, socket, undefined, socket, socket, socket].entries()) t.equal(messages[index]!.socket, expected)
  t.strictSame(messages.map(({ socket, ...message }) => message), [
    { backend: 'threads', version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256' },
    { backend: 'plain', version: null, cipher: null },
    {},
    { request, path: 'write', reason: 'too-small' },
    { request, ...part },
    { request, ...part },
    { request, ...part, sent: 1, error }
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
