import { setImmediate } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { Backend, FallbackReason, Support } from '../../types/index'
import type { Binding, Choice, Failure, Promotion, Refusal, Session, TransmitListener, Transmitter } from '../../lib/binding'
import { Connection } from '../../lib/connection/connections'
import { Promoter } from '../../lib/connection/promotion'
import { Counters } from '../../lib/observe/stats'
import { until } from '../support/wait'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

/** Also what waits for a turn of the event loop to be let go. */
async function collectAll (): Promise<void> {
  for (let turns = 0; turns < 5; turns++) {
    await setImmediate()
    collect()
  }
}

const CIPHER = 'TLS_AES_128_GCM_SHA256'
const NONE = { 'aes-128-gcm': false, 'aes-256-gcm': false, 'chacha20-poly1305': false }
const support = { versions: { 'TLSv1.2': NONE, 'TLSv1.3': { ...NONE, 'aes-128-gcm': true } }, rekey: true } as Partial<Support> as Support

interface Surroundings {
  readonly backends?: readonly Backend[]
  readonly cipher?: string
  readonly version?: string
}

/** A socket, and a session that answers as told. */
function connected (answer: (choice: Choice, hear: TransmitListener) => Promotion | Refusal, { backends = ['kernel', 'threads'], cipher = CIPHER, version = 'TLSv1.3' }: Surroundings = {}) {
  const properties = {
    _handle: { fd: 0 },
    _bytesDispatched: 0,
    writableLength: 0,
    destroyed: false,
    localAddress: '127.0.0.1',
    getProtocol: () => version,
    getCipher: () => ({ standardName: cipher }),
    setTimeout: () => {},
    getFinished: () => Buffer.alloc(12)
  }
  const socket: typeof properties = Object.create(TLSSocket.prototype, Object.getOwnPropertyDescriptors(properties))
  const asked = { times: 0, forgotten: false, choices: [] as Choice[] }
  const warnings: unknown[] = []
  const session = {
    matches: () => true,
    forget: () => { asked.forgotten = true },
    promote: (_fd: number, choice: Choice, hear: TransmitListener) => {
      asked.times++
      asked.choices.push(choice)
      return answer(choice, hear)
    }
  } as unknown as Session
  const connection = new Connection([session], undefined)
  const counters = new Counters()
  const promoter = new Promoter({} as Binding, support, backends, counters, { debug: () => {}, warn: (message: unknown) => { warnings.push(message) } })
  const promote = () => new Promise<FallbackReason | undefined>(resolve => {
    promoter.promote(connection, socket as unknown as TLSSocket, resolve)
  })
  return { asked, connection, counters, promote, promoter, socket, warnings }
}

/** The session gives these refusals in turn, and from then on the last one. */
function refusing (...refusals: FallbackReason[]) {
  let times = 0
  return connected(() => ({ refusal: refusals[Math.min(times++, refusals.length - 1)]!, error: -24, call: 'fcntl' }))
}

/** The session is promoted to the first backend of its choice, but for one that refuses. */
function promoting (surroundings: Surroundings, cause: Failure | null = null) {
  return connected(({ kernel }) => {
    const backend = kernel && cause === null ? 'kernel' : 'threads'
    return { transmitter: { backend, dataBytes: 0, fileBytes: 0 } as Transmitter, cause }
  }, surroundings)
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
  t.strictSame(warnings, ['fastify-ktls: a connection stays with Node (no-resources): fcntl failed with EMFILE'], 'said once')
  t.equal(asked.forgotten, false)
})

t.test('every other refusal is final, and the secrets are forgotten', async t => {
  const { asked, connection, promote } = refusing('kernel-refused')
  for (let reply = 1; reply <= 2; reply++) t.equal(await promote(), 'kernel-refused')
  t.equal(asked.times, 1)
  t.equal(connection.refusal, 'kernel-refused')
  t.ok(asked.forgotten)
})

t.test('which backends the session may choose from', async t => {
  const [both, kernel, threads]: ReadonlyArray<readonly Backend[]> = [['kernel', 'threads'], ['kernel'], ['threads']]
  const [unknown, lacking] = ['TLS_AES_128_CCM_SHA256', 'TLS_AES_256_GCM_SHA384']
  const cases: ReadonlyArray<[string, Surroundings, Choice | FallbackReason]> = [
    ['all that the kernel takes', { backends: both! }, { kernel: true, rekey: true, threads: true }],
    ['the kernel alone', { backends: kernel! }, { kernel: true, rekey: true, threads: false }],
    ['threads alone', { backends: threads! }, { kernel: false, rekey: true, threads: true }],
    ['a cipher that the kernel lacks', { backends: both!, cipher: lacking! }, { kernel: false, rekey: true, threads: true }],
    ['the same with the kernel alone', { backends: kernel!, cipher: lacking! }, 'cipher-not-offloadable'],
    ['a version that the kernel lacks', { backends: both!, version: 'TLSv1.2' }, { kernel: false, rekey: true, threads: true }],
    ['the same with the kernel alone', { backends: kernel!, version: 'TLSv1.2' }, 'cipher-not-offloadable'],
    ['a cipher that none has', { backends: both!, cipher: unknown! }, 'cipher-not-offloadable'],
    ['a version that none has', { backends: both!, version: 'TLSv1.1' }, 'version-not-offloadable']
  ]
  for (const [what, surroundings, expected] of cases) {
    const { asked, connection, counters, promote } = promoting(surroundings)
    const refusal = await promote()
    if (typeof expected === 'string') {
      t.equal(refusal, expected, what)
      t.equal(connection.way.path, 'node', what)
    } else {
      t.equal(refusal, undefined, what)
      t.strictSame(asked.choices, [expected], what)
      const backend = expected.kernel ? 'kernel' : 'threads'
      t.strictSame(connection.way, { path: 'write', backend }, what)
      t.strictSame(counters.snapshot().connections.promoted, { kernel: 0, threads: 0, plain: 0, [backend]: 1 }, what)
    }
  }
})

t.test('a transmitter lives as long as the native part has its listener', async t => {
  let listener: TransmitListener | undefined
  let transmitter: WeakRef<Transmitter> | undefined
  const promote = async () => {
    const { promote } = connected((_choice, hear) => {
      listener = hear
      const made = { backend: 'threads', dataBytes: 0, fileBytes: 0 } as Transmitter
      transmitter = new WeakRef(made)
      return { transmitter: made, cause: null }
    })
    t.equal(await promote(), undefined)
  }
  await promote()
  await collectAll()
  t.ok(transmitter!.deref())
  listener = undefined
  await until(() => {
    collect()
    return transmitter!.deref() === undefined
  })
  t.equal(listener, undefined)
})

t.test('how the kernel refuses is said once where threads take its place', async t => {
  const { promote, warnings } = promoting({}, { error: -16, call: 'setsockopt TLS_TX' })
  t.equal(await promote(), undefined)
  t.strictSame(warnings, ['fastify-ktls: a connection goes by sender threads, as the kernel refuses it: setsockopt TLS_TX failed with EBUSY'])
})

t.test('why a key cannot be changed', async t => {
  for (const [version, words] of [['TLSv1.3', /this kernel cannot make/], ['TLSv1.2', /TLS 1\.2 does not have$/]] as const) {
    const { promoter, socket, warnings } = promoting({ version })
    promoter.keyUsedUp(socket as unknown as TLSSocket)
    t.match(warnings, [words], version)
  }
})
