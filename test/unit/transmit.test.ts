import { once } from 'node:events'
import { Socket } from 'node:net'
import { constants } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { Binding, Transmitter } from '../../lib/binding'
import { FST_KTLS_FILE_TRUNCATED } from '../../lib/errors'
import { Transmit, isOwnError } from '../../lib/connection/transmit'
import type { TransmitOwner } from '../../lib/connection/transmit'
import { until } from '../support/wait'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

/** Counts, and is closed at once or not. */
function transmitter (closes: boolean): Transmitter {
  return { backend: 'plain', dataBytes: 1, fileBytes: 20, abort: () => closes } as Partial<Transmitter> as Transmitter
}

function lend (transmit: Transmit, closes: boolean): WeakRef<Transmitter> {
  const lent = transmitter(closes)
  transmit.begin(lent)
  transmit.release()
  return new WeakRef(lent)
}

t.test('a transmitter that has not closed yet is kept until it has, as it could not tell', async t => {
  const transmit = new Transmit({} as Binding, new Socket(), 'plain', {} as TransmitOwner)
  const [closed, closing] = [lend(transmit, true), lend(transmit, false)]
  t.notOk(transmit.active)
  t.strictSame([transmit.dataBytes, transmit.fileBytes], [2, 40])
  await until(() => {
    collect()
    return closed.deref() === undefined
  })
  t.ok(closing.deref())
  transmit.hear('closed', 0, '')
  await until(() => {
    collect()
    return closing.deref() === undefined
  })
})

t.test('a reset that sendfile(2) kept to itself is called what it was', async t => {
  const { ECONNRESET, EPIPE } = constants.errno
  for (const [ended, call, error, code] of [
    [false, 'sendfile', EPIPE, 'ECONNRESET'],
    [true, 'sendfile', EPIPE, 'EPIPE'],
    [false, 'sendmsg', EPIPE, 'EPIPE'],
    [false, 'sendfile', ECONNRESET, 'ECONNRESET']
  ] as const) {
    const socket = new Socket()
    const transmit = new Transmit({} as Binding, socket, 'plain', {} as TransmitOwner)
    transmit.begin({ ...transmitter(true), send: () => ({ error: -error, call }), shutdown: () => true } as Partial<Transmitter> as Transmitter)
    if (ended) {
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
