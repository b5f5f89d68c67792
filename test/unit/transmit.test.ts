import { once } from 'node:events'
import { Socket } from 'node:net'
import { constants } from 'node:os'
import { mock } from 'node:test'
import t from 'tap'
import type { Binding, Transmitter } from '../../lib/binding'
import { FST_KTLS_FILE_TRUNCATED } from '../../lib/errors'
import { Transmit, isOwnError } from '../../lib/connection/transmit'
import type { TransmitOwner } from '../../lib/connection/transmit'
import { until } from '../support/wait'

function transmitter (): Transmitter {
  return { backend: 'plain', dataBytes: 1, fileBytes: 20, abort: () => true } as Partial<Transmitter> as Transmitter
}

t.test('a connection is not given back while its end is on its way', async t => {
  const socket = new Socket()
  const transmit = new Transmit({} as Binding, socket, {} as TransmitOwner)
  let aborted = 0
  let held = 0
  const ending = { ...transmitter(), shutdown: () => false, abort: () => ++aborted > 0, ref: () => { held++ }, unref: () => { held-- } } as Partial<Transmitter> as Transmitter
  transmit.begin(ending)
  const finished = once(socket, 'finish')
  socket.end()
  await until(() => held === 1)
  // As a file reply does that comes too late to be sent.
  transmit.release()
  t.equal(aborted, 0)
  t.ok(transmit.active)
  transmit.hear(transmitter(), 'settled', 0, '')
  t.equal(held, 1, "a former transmitter's events are not about it")
  transmit.hear(ending, 'settled', 0, '')
  await finished
  t.equal(held, 0)
})

t.test('an end is told also while somebody holds the clock', async t => {
  const socket = new Socket()
  new Transmit({} as Binding, socket, {} as TransmitOwner).begin({ ...transmitter(), shutdown: () => true } as Transmitter)
  mock.timers.enable({ apis: ['setImmediate'] })
  t.teardown(() => mock.timers.reset())
  const finished = once(socket, 'finish')
  socket.end()
  await finished
  t.ok(socket.writableFinished)
})

t.test('a connection is given back between files, and what was sent still counts', async t => {
  const transmit = new Transmit({} as Binding, new Socket(), {} as TransmitOwner)
  for (const [data, file] of [[1, 20], [2, 40]]) {
    transmit.begin(transmitter())
    t.ok(transmit.active)
    transmit.release()
    t.notOk(transmit.active)
    t.strictSame([transmit.dataBytes, transmit.fileBytes], [data, file])
  }
})

t.test('a reset that sendfile(2) kept to itself is called what it was', async t => {
  const { ECONNRESET, EPIPE } = constants.errno
  for (const [ended, call, error, code] of [
    [false, 'sendfile', EPIPE, 'ECONNRESET'],
    [true, 'sendfile', EPIPE, 'EPIPE'],
    [false, 'sendmsg', EPIPE, 'EPIPE'],
    [false, 'sendfile', ECONNRESET, 'ECONNRESET'],
    ['unix', 'sendfile', EPIPE, 'EPIPE']
  ] as const) {
    const socket = Object.defineProperty(new Socket(), 'localAddress', { value: ended === 'unix' ? undefined : '127.0.0.1' })
    const transmit = new Transmit({} as Binding, socket, {} as TransmitOwner)
    transmit.begin({ ...transmitter(), send: () => ({ error: -error, call }), shutdown: () => true } as Partial<Transmitter> as Transmitter)
    if (ended === true) {
      socket.push(null)
      socket.resume()
      await once(socket, 'end')
    }
    const told = await new Promise<unknown>(resolve => transmit.send([{ chunk: Buffer.from('x'), encoding: 'latin1' }], resolve))
    t.match(told, { code, syscall: 'write', message: `write ${code}` }, `${ended} ${call} ${error}`)
  }
})

t.test('whose fault a failed write is', async t => {
  for (const [syscall, code, own] of [
    ['sendfile', 'EIO', true],
    ['sendfile', 'EPIPE', false],
    ['sendfile', 'ECONNRESET', false],
    ['read', 'EIO', true],
    // By these Node's own read of the socket fails.
    ['read', 'ECONNRESET', false],
    ['read', 'ETIMEDOUT', false],
    ['seal', 'EIO', true],
    ['write', 'EPIPE', false],
    [undefined, undefined, false]
  ] as const) t.equal(isOwnError(Object.assign(new Error(), { syscall, code })), own, `${syscall} ${code}`)
  t.ok(isOwnError(new FST_KTLS_FILE_TRUNCATED()))
})
