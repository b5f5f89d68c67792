/*
 * Every call of the table in native/syscalls.h, each time that it comes in a
 * connection's life, met by what the kernel can answer. Over the host double, or
 * with KTLS_TEST_ADDON=fastify_ktls_faults over a real kernel; by the backend under test.
 */
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import t from 'tap'
import type { Backend, FallbackReason } from '../../types/index'
import { BACKEND } from '../support/backend'
import { makeFile, makeFolder } from '../support/files'
import { openDescriptors } from '../support/kernel'
import { request } from '../support/request'
import { converse } from './conversation'
import type { Conversation } from './conversation'
import { isRefusal, startFaultServer } from './fault-server'
import type { Account, FaultServer } from './fault-server'
import { arm, binding, calls, fired, total } from './faults'
import type { Counts, Effect, Fault, Point } from './faults'

interface Row {
  readonly point: Point
  readonly effects: readonly Effect[]
  /**
   * What the client gets: everything, or an early end that does not look like one of its own. 'either': everything
   * where the call only asks, with `fallback` or without, and else an early end, of which is `told`.
   */
  readonly outcome: 'whole' | 'cut' | 'either'
  readonly fallback?: FallbackReason
  readonly told?: Account['told']
  /** A call that sends the close_notify too, of which nobody hears that it was not sent. */
  readonly lastUnheard?: true
  /** How many calls in turn; one unless given. Infinity: each one, from the first. */
  readonly times?: number
  /** Taken for the end of the connection, so that records held back are lost with their close_notify. */
  readonly endsDrain?: true
  /** What brings the calls about. */
  readonly base?: readonly Fault[]
}

/** The socket takes no more, twice: the first wait registers it, the second one finds it registered. */
const BLOCKED: readonly Fault[] = (['half', 'EAGAIN', 'half', 'EAGAIN'] as const)
  .map((effect, index) => ({ point: BACKEND === 'kernel' ? 'sendfile' : 'sendmsg of data', effect, call: index + 1 }))

/** The kernel says that the page is there, also one that cannot tell. */
const CACHED: readonly Fault[] = [{ point: 'cachestat', effect: 'at most 1', call: 1, times: Infinity }]

/** No page is there: another thread than the sender waits for the disk. */
const COLD: readonly Fault[] = [{ point: 'cachestat', effect: 'at most 0', call: 1, times: Infinity }]

/** What either backend calls. */
const COMMON: readonly Row[] = [
  // A kernel before 4.2 gives fewer bytes.
  { point: 'getsockopt TCP_INFO', effects: ['EACCES', 'EPERM', 'at most 100'], outcome: 'whole' },
  { point: 'getsockopt TCP_INFO', effects: ['gone'], outcome: 'whole', endsDrain: true },
  { point: 'getsockopt TCP_INFO', effects: ['EACCES', 'at most 100', 'gone'], times: Infinity, outcome: 'whole', fallback: 'not-ready' },
  { point: 'SIOCOUTQ', effects: ['EINVAL', 'EACCES'], outcome: 'whole' },
  { point: 'SIOCOUTQ', effects: ['EINVAL'], times: Infinity, outcome: 'whole', fallback: 'not-ready' },
  { point: 'poll', effects: ['ENOMEM'], base: COLD, outcome: 'whole' },
  // ENOSPC: user.max_user_watches.
  { point: 'epoll_ctl', effects: ['ENOMEM', 'ENOSPC'], base: BLOCKED, outcome: 'whole' },
  { point: 'epoll_ctl', effects: ['ENOSPC'], times: Infinity, base: BLOCKED, outcome: 'whole' },
  { point: 'shutdown', effects: ['ENOTCONN'], outcome: 'whole' },
  { point: 'recv', effects: ['EAGAIN', 'EINTR', 'ECONNRESET', 'EFAULT'], outcome: 'whole' },
  { point: 'recv', effects: ['EAGAIN', 'ENOSYS'], times: Infinity, outcome: 'whole' },
  // Whatever close returns, the descriptor is gone.
  { point: 'close', effects: ['EINTR', 'EIO'], outcome: 'whole' },
  { point: 'close', effects: ['EINTR'], times: Infinity, outcome: 'whole' },
  // An old kernel, a container, no page: then the file is read for good.
  { point: 'cachestat', effects: ['ENOSYS', 'EPERM', 'at most 0'], outcome: 'whole' },
  { point: 'cachestat', effects: ['ENOSYS'], times: Infinity, outcome: 'whole' },
  // A seccomp filter.
  { point: 'statx', effects: ['ENOSYS', 'EPERM'], outcome: 'whole', fallback: 'not-a-regular-file' },
  { point: 'duplicate', effects: ['EMFILE', 'ENOMEM'], outcome: 'whole', fallback: 'no-resources' },
  { point: 'duplicate', effects: ['EMFILE'], times: Infinity, outcome: 'whole', fallback: 'no-resources' }
]

const OF_BACKEND: Readonly<Record<Backend, readonly Row[]>> = {
  kernel: [
    // __tcp_set_ulp, tls_init; EPERM and EACCES are what BPF and the security modules answer.
    { point: 'setsockopt TCP_ULP', effects: ['ENOENT', 'EEXIST', 'EPERM', 'ENOMEM'], outcome: 'whole', fallback: 'kernel-refused' },
    // The client has gone, or ended its side.
    { point: 'setsockopt TCP_ULP', effects: ['ENOTCONN'], outcome: 'whole', fallback: 'connection-closed' },
    { point: 'setsockopt TCP_ULP', effects: ['ENOENT'], times: Infinity, outcome: 'whole', fallback: 'kernel-refused' },
    // do_tls_setsockopt_conf, crypto_alloc_aead.
    { point: 'setsockopt TLS_TX', effects: ['EBUSY', 'EINVAL', 'ENOMEM', 'ENOENT', 'EPERM'], outcome: 'whole', fallback: 'kernel-refused' },
    { point: 'setsockopt TLS_TX', effects: ['EINVAL'], times: Infinity, outcome: 'whole', fallback: 'kernel-refused' },
    { point: 'getsockopt TLS_TX', effects: ['EBUSY', 'EINVAL', 'EPERM'], outcome: 'whole' },
    { point: 'getsockopt TLS_TX', effects: ['EINVAL'], times: Infinity, outcome: 'whole', endsDrain: true },
    // EINTR: tls_sw_sendmsg waits for its lock. EBADMSG: the cipher failed.
    { point: 'sendmsg of data', effects: ['at most 1', 'half', 'EAGAIN', 'EINTR'], outcome: 'whole' },
    { point: 'sendmsg of data', effects: ['at most 1', 'EAGAIN', 'EINTR'], times: 3, outcome: 'whole' },
    { point: 'sendmsg of data', effects: ['EPIPE', 'ECONNRESET', 'ETIMEDOUT', 'ENOMEM', 'EBADMSG', 'EIO'], outcome: 'cut', told: ['clientError'] },
    { point: 'sendmsg of data', effects: ['EPIPE'], times: Infinity, outcome: 'cut', told: ['clientError'] },
    { point: 'sendmsg of a record', effects: ['EAGAIN', 'EINTR'], outcome: 'whole' },
    { point: 'sendmsg of a record', effects: ['EAGAIN', 'EINTR'], times: 3, outcome: 'whole' },
    // As Node: nobody hears that a close_notify was not sent.
    { point: 'sendmsg of a record', effects: ['EPIPE', 'ECONNRESET', 'ENOMEM', 'EIO'], outcome: 'cut' },
    { point: 'sendfile', effects: ['at most 1', 'half', 'EAGAIN', 'EINTR'], outcome: 'whole' },
    { point: 'sendfile', effects: ['at most 1', 'EAGAIN', 'EINTR'], times: 3, outcome: 'whole' },
    // The socket's errors are the client's affair, the others the file's.
    { point: 'sendfile', effects: ['EPIPE', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH'], outcome: 'cut', told: ['clientError'] },
    { point: 'sendfile', effects: ['at most 0', 'EIO', 'ENOMEM'], outcome: 'cut', told: ['log', 'clientError'] },
    { point: 'sendfile', effects: ['at most 1', 'half', 'EAGAIN', 'EINTR'], base: COLD, outcome: 'whole' },
    { point: 'sendfile', effects: ['EPIPE'], base: COLD, outcome: 'cut', told: ['clientError'] },
    { point: 'sendfile', effects: ['at most 0', 'EIO'], base: COLD, outcome: 'cut', told: ['log', 'clientError'] },
    // The page is gone again, the file system cannot tell, the disk is bad.
    { point: 'preadv2', effects: ['EAGAIN', 'EOPNOTSUPP', 'EIO'], base: CACHED, outcome: 'whole' },
    { point: 'preadv2', effects: ['EAGAIN'], times: Infinity, base: CACHED, outcome: 'whole' },
    // The disk is bad, or the file was cut: it is left to Node.
    { point: 'preadv2 that waits', effects: ['EIO', 'ENOSYS', 'at most 0'], base: COLD, outcome: 'whole', fallback: 'file-unreadable' }
  ],
  threads: [
    { point: 'sendmsg of data', effects: ['at most 1', 'half', 'EAGAIN', 'EINTR'], outcome: 'whole' },
    { point: 'sendmsg of data', effects: ['at most 1', 'EAGAIN', 'EINTR'], times: 3, outcome: 'whole' },
    { point: 'sendmsg of data', effects: ['EPIPE', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENOMEM', 'EIO'], outcome: 'cut', told: ['clientError'], lastUnheard: true },
    { point: 'sendmsg of data', effects: ['EPIPE'], times: Infinity, outcome: 'cut', told: ['clientError'] },
    { point: 'sendmsg of data', effects: ['EPIPE'], base: COLD, outcome: 'cut', told: ['clientError'], lastUnheard: true },
    // The page is gone again, or the file system cannot tell: it is read by who may wait.
    { point: 'preadv2', effects: ['EAGAIN', 'EOPNOTSUPP'], base: CACHED, outcome: 'whole' },
    { point: 'preadv2', effects: ['EAGAIN'], times: Infinity, base: CACHED, outcome: 'whole' },
    // The disk is bad. A look at the page cache is no more than that.
    { point: 'preadv2', effects: ['EIO', 'ENOMEM', 'at most 0'], base: CACHED, outcome: 'either', told: ['log', 'clientError'] },
    { point: 'preadv2 that waits', effects: ['EINTR'], base: COLD, outcome: 'either', fallback: 'file-unreadable' },
    // Before the head is sent it is left to Node.
    { point: 'preadv2 that waits', effects: ['EIO', 'ENOSYS', 'at most 0'], base: COLD, outcome: 'either', fallback: 'file-unreadable', told: ['log', 'clientError'] }
  ]
}

const ROWS: readonly Row[] = [...COMMON, ...OF_BACKEND[BACKEND]]

/** With a limit, the double holds back the last record of each call. */
const limit = process.env.KTLS_DOUBLE_SEND_LIMIT

/** How many calls more than without the fault are no loop. */
const MORE_CALLS = 100
/** How often a run is repeated in which the call did not come, as the number of looks at the clock varies. */
const ATTEMPTS = 10

const folder = makeFolder(t)
const files = [makeFile(folder, 300_001), makeFile(folder, 310_000)] as const
const PATHS = [`/${files[0].name}`, '/json', `/${files[1].name}`]
const BODIES = [readFileSync(files[0].path), Buffer.from('{"some":"json"}'), readFileSync(files[1].path)] as const

const starting = startFaultServer(t, folder, PATHS[0]!, app => { app.get('/json', async () => ({ some: 'json' })) })

/** Whether every byte that came is right, and the end is that of what came. */
function outcomeOf ({ ok, bodies, rest, clean }: Conversation): 'whole' | 'cut' | 'wrong' {
  const following = BODIES[bodies.length] ?? Buffer.alloc(0)
  const right = ok && bodies.every((body, index) => body.equals(BODIES[index]!)) && rest.equals(following.subarray(0, rest.length))
  if (!right) return 'wrong'
  if (!clean) return 'cut'
  return bodies.length === BODIES.length ? 'whole' : 'wrong'
}

/** The smallest number of calls that a connection makes. */
async function record (t: Tap.Test, server: FaultServer, base: readonly Fault[]): Promise<Counts> {
  const runs: Counts[] = []
  for (let run = 0; run < 3; run++) {
    arm(...base)
    t.equal(outcomeOf(await converse(server.port, PATHS)), 'whole')
    await server.idle()
    runs.push(calls())
  }
  return Object.fromEntries(Object.keys(runs[0]!).map(point => [point, Math.min(...runs.map(run => run[point as Point]))])) as Record<Point, number>
}

/** What becomes of a connection, and of the next one. */
async function run (t: Tap.Test, server: FaultServer, faults: readonly Fault[], name: string) {
  const account = server.account()
  arm(...faults)
  const conversation = await converse(server.port, PATHS)
  const [outcome, all] = [outcomeOf(conversation), conversation.bodies.length === BODIES.length]
  await server.idle()
  const result = { outcome, all, ...account(), met: fired()[faults.at(-1)!.point] > 0, calls: total(calls()) }
  arm()
  const next = await request(server.origin + PATHS[2])
  await server.idle()
  if (next.sha256 !== files[1].sha256 || total(fired()) > 0) t.fail(`${name}: the next connection`)
  return result
}

for (const { point, effects, outcome, fallback, told = [], lastUnheard, times = 1, endsDrain, base = [] } of ROWS) {
  t.test(`${point}, ${times === 1 ? 'one call' : `${times} calls`}: ${effects.join(', ')}`, async t => {
    const server = await starting
    const usual = await record(t, server, base)
    t.ok(usual[point] > 0, `${usual[point]} calls`)
    for (const effect of effects) {
      for (let call = 1; call <= (times === Infinity ? 1 : usual[point]); call++) {
        const name = `${effect} at call ${call}`
        const faults = [...base, { point, effect, call, times }]
        let result = await run(t, server, faults, name)
        for (let attempt = 1; attempt < ATTEMPTS && !result.met; attempt++) result = await run(t, server, faults, name)
        const { calls, all, ...rest } = result
        const fallbacks = fallback === undefined ? [] : [fallback]
        if (outcome === 'either') {
          const { outcome } = rest
          t.ok(outcome !== 'wrong', `${name}: ${outcome}`)
          t.strictSame(rest, outcome === 'cut' ? { outcome, fallbacks: [], told, met: true } : { outcome, fallbacks: rest.fallbacks.length > 0 ? fallbacks : [], told: [], met: true }, name)
        } else {
          const expected = limit !== undefined && endsDrain === true && result.outcome === 'cut' ? 'cut' : outcome
          t.strictSame(rest, { outcome: expected, fallbacks, told: lastUnheard === true && all ? [] : told, met: true }, name)
        }
        t.ok(calls < total(usual) + MORE_CALLS, `${calls} calls`)
      }
    }
  })
}

t.test('why connections were refused has been said, once for each cause', async t => {
  const { warnings } = await starting
  const messages = warnings.filter(isRefusal).map(({ msg }) => String(msg))
  t.equal(new Set(messages).size, messages.length)
  for (const { point, effects } of ROWS.filter(({ fallback }) => fallback === 'kernel-refused')) {
    for (const effect of effects) t.ok(messages.some(message => message.endsWith(`(kernel-refused): ${point} failed with ${effect}`)), `${point} ${effect}`)
  }
})

if (BACKEND === 'kernel') {
  t.test('the probe', async t => {
    const PER_VERSION = 3
    const descriptors = openDescriptors().length
    for (let call = 1; call <= 2 * PER_VERSION; call++) {
      const errors = (errno: number) => {
        const all = Array.from({ length: 2 * PER_VERSION }, (_, index) => index === call - 1 ? errno : 0)
        return { error: 0, call: '', tls12: all.slice(0, PER_VERSION), tls13: all.slice(PER_VERSION) }
      }
      for (const code of ['ENOENT', 'EPERM', 'ENOMEM'] as const) {
        arm({ point: 'setsockopt TCP_ULP', effect: code, call })
        t.match(binding.probe(), { error: -constants.errno[code], call: 'setsockopt TCP_ULP' }, `TCP_ULP ${code} at call ${call}`)
      }
      for (const code of ['EINVAL', 'ENOENT', 'ENOMEM'] as const) {
        // With TLS 1.3 each key that is taken is followed by a second one.
        arm({ point: 'setsockopt TLS_TX', effect: code, call: call <= PER_VERSION ? call : 2 * call - PER_VERSION - 1 })
        t.match(binding.probe(), errors(constants.errno[code]), `TLS_TX ${code} at call ${call}`)
      }
      arm({ point: 'getsockopt TLS_TX', effect: 'EINVAL', call })
      t.match(binding.probe(), errors(constants.errno.EOPNOTSUPP), `the key cannot be read at call ${call}`)
    }
    t.equal(openDescriptors().length, descriptors)
  })
}

if (BACKEND === 'kernel' && limit === undefined && process.env.KTLS_TEST_ADDON === undefined) {
  t.spawn(process.execPath, [__filename], { env: { ...process.env, KTLS_DOUBLE_SEND_LIMIT: '120000' } }, 'calls take less, and records are held back')
}
