import { once } from 'node:events'
import { connect } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { createServer } from 'node:tls'
import t from 'tap'
import type { Binding } from '../../lib/binding'
import { capture } from '../../lib/connection/capture'

async function accept (t: Tap.Test, server: Server): Promise<void> {
  if (!server.listening) {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    t.teardown(() => { server.close() })
  }
  const accepted = once(server, 'connection')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = await accepted
  // The channel publishes after the event.
  await new Promise(setImmediate)
  client.destroy()
  socket.destroy()
}

t.test('sessions are claimed once, and discarded where nobody owns the server', async t => {
  const calls: string[] = []
  const binding = {
    startCapture: () => true,
    claim: () => {
      calls.push('claim')
      return []
    },
    discard: () => { calls.push('discard') }
  } as unknown as Binding
  const [first, second, other] = [createServer(), createServer(), createServer()]
  const claimant = (name: string, own: readonly Server[]) => ({
    owns: (server: Server) => own.includes(server),
    adopt: () => { calls.push(name) },
    adoptPlain: () => { calls.push(`${name}, plain`) }
  })
  const stops = [capture(binding, claimant('first', [first]), true), capture(binding, claimant('second', [first, second]), true)]
  for (const server of [first, second, other]) await accept(t, server)
  t.strictSame(calls.splice(0), ['claim', 'first', 'claim', 'second', 'discard'])
  stops[0]!()
  stops[0]!()
  await accept(t, second)
  t.strictSame(calls.splice(0), ['claim', 'second'])
  stops[1]!()
  for (const server of [second, other]) await accept(t, server)
  t.strictSame(calls, [], 'nothing is listened to any more')
})
