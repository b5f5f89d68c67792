/*
 * Every call of the tables in native/kernel/syscalls.h and native/openssl/openssl.h, each
 * time that it comes in a connection's life, met by what the kernel and OpenSSL can answer.
 * Over the host double, or with KTLS_TEST_ADDON=fastify_ktls_faults over a real kernel.
 */
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import type { ConnectionOptions } from 'node:tls'
import t from 'tap'
import { SECURE } from '../support/backend'
import { ask, open, readReply } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { openDescriptors } from '../support/kernel'
import { request } from '../support/request'
import { converse } from '../support/conversation'
import type { Conversation } from '../support/conversation'
import { isRefusal, startFaultServer } from './server'
import type { FaultServer } from './server'
import { ROWS } from './table'
import type { Row } from './table'
import { arm, binding, calls, fired, total } from './injector'
import type { Counts, Fault, Point } from './injector'

/** With a limit, the double holds back the last record of each call. */
const limit = process.env.KTLS_DOUBLE_SEND_LIMIT

/** How many calls are tried at each end, and about as many in between. */
const SOME = 5
/** How often a run is repeated in which the call did not come, as the number of looks at the clock varies. */
const ATTEMPTS = 10

const folder = makeFolder(t)
/** Without TLS the first is sent by the event loop's thread. */
const files = [makeFile(folder, SECURE ? 300_001 : 100_001), makeFile(folder, 310_000)] as const
/** Over TLS a sender seals it. */
const TEXT = 'some text '.repeat(15_000)
const PATHS = [`/${files[0].name}`, '/json', '/text', `/${files[1].name}`]
const BODIES = [readFileSync(files[0].path), Buffer.from('{"some":"json"}'), Buffer.from(TEXT), readFileSync(files[1].path)] as const

/** Their places. */
const JSON_REPLY = 1
const TEXT_REPLY = 2
const FILE_REPLY = 3

/**
 * How many calls more than without the fault are no loop: a client on a busy machine may
 * have each record wait, and be taken in two parts. To wait and go on takes some eight: poll,
 * epoll_ctl, what TCP has (three), cachestat, a read, and the one that sends.
 */
const MORE_CALLS = 2 * 8 * Math.ceil(BODIES.reduce((sum, body) => sum + body.length, 0) / 16384)

const starting = startFaultServer(t, folder, PATHS[0]!, app => {
  app.get('/json', async () => ({ some: 'json' }))
  app.get('/text', async () => TEXT)
})

/** Whether every byte that came is right, and the end is that of what came. */
function outcomeOf ({ ok, bodies, rest, clean }: Conversation): 'whole' | 'cut' | 'wrong' {
  const following = BODIES[bodies.length] ?? Buffer.alloc(0)
  const right = ok && bodies.every((body, index) => body.equals(BODIES[index]!)) && rest.equals(following.subarray(0, rest.length))
  if (!right) return 'wrong'
  if (!clean) return 'cut'
  return bodies.length === BODIES.length ? 'whole' : 'wrong'
}

function optionsOf (version: Row['version']): ConnectionOptions {
  return version === undefined ? {} : { maxVersion: version }
}

/** Those calls that are tried: all of a few; of many the first, the last, and some in between. */
function callsOf (usual: number, { times, only }: Row): number[] {
  if (times === Infinity || only === 'first') return [1]
  const all = Array.from({ length: usual }, (_, index) => index + 1).slice(only === 'later' ? 1 : 0)
  const step = Math.max(1, Math.floor(usual / SOME))
  return all.filter((_, index) => index < SOME || index >= all.length - SOME || index % step === 0)
}

/** The smallest number of calls that a connection makes. */
async function record (t: Tap.Test, server: FaultServer, { base = [], version }: Row): Promise<Counts> {
  const runs: Counts[] = []
  for (let run = 0; run < 3; run++) {
    arm(...base)
    t.equal(outcomeOf(await converse(server.port, PATHS, optionsOf(version))), 'whole')
    await server.idle()
    runs.push(calls())
  }
  return Object.fromEntries(Object.keys(runs[0]!).map(point => [point, Math.min(...runs.map(run => run[point as Point]))])) as Record<Point, number>
}

/** What becomes of a connection, and of the next one. */
async function run (t: Tap.Test, server: FaultServer, faults: readonly Fault[], version: Row['version'], name: string) {
  const account = server.account()
  arm(...faults)
  const conversation = await converse(server.port, PATHS, optionsOf(version))
  await server.idle()
  const result = { outcome: outcomeOf(conversation), bodies: conversation.bodies.length, ...account(), met: fired()[faults.at(-1)!.point] > 0, calls: total(calls()) }
  arm()
  const next = await request(server.origin + PATHS[FILE_REPLY])
  await server.idle()
  if (next.sha256 !== files[1].sha256 || total(fired()) > 0) t.fail(`${name}: the next connection`)
  return result
}

/** As Node: nobody hears that a close_notify was not sent. What is not a file has no line in the log. */
function toldOf ({ told = [] }: Row, outcome: string, bodies: number): Row['told'] {
  if (outcome !== 'cut' || bodies === BODIES.length) return []
  return bodies === JSON_REPLY || bodies === TEXT_REPLY ? told.filter(how => how !== 'log') : told
}

for (const row of ROWS) {
  const { point, effects, fallback, times = 1, only, endsDrain, base = [], version } = row
  t.test(`${point}, ${times === 1 ? `${only ?? 'one'} call` : `${times} calls`}${version === undefined ? '' : `, ${version}`}: ${effects.join(', ')}`, async t => {
    const server = await starting
    const usual = await record(t, server, row)
    t.ok(usual[point] > 0, `${usual[point]} calls`)
    for (const effect of effects) {
      for (const call of callsOf(usual[point], row)) {
        const name = `${effect} at call ${call}`
        const faults = [...base, { point, effect, call, times }]
        let result = await run(t, server, faults, version, name)
        for (let attempt = 1; attempt < ATTEMPTS && !result.met; attempt++) result = await run(t, server, faults, version, name)
        const { calls, bodies, ...rest } = result
        const either = row.outcome === 'either' || (limit !== undefined && endsDrain === true)
        const outcome = either && result.outcome !== 'wrong' ? result.outcome : row.outcome
        t.strictSame(rest, { outcome, fallbacks: fallback === undefined ? [] : [fallback], told: toldOf(row, outcome, bodies), met: true }, name)
        t.ok(calls < total(usual) + MORE_CALLS, `${calls} calls, ${total(usual)} without`)
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

// Without TLS there is nothing of OpenSSL's, and the probe is of the kernel's TLS.
if (SECURE) {
  /** What OpenSSL leaves in the queue of errors of the event loop's thread, another connection would take for its own. */
  t.test('a connection beside it, which is by OpenSSL', async t => {
    const server = await starting
    for (const { point, version } of ROWS.filter(({ effects }) => effects.includes('refused'))) {
      arm()
      const beside = await open(server.port)
      const answers = async () => {
        ask(beside, PATHS[JSON_REPLY]!)
        return (await readReply(beside)).body.equals(BODIES[JSON_REPLY]!)
      }
      t.ok(await answers(), `${point}: before`)
      arm({ point, effect: 'refused', call: 1, times: Infinity })
      const conversing = converse(server.port, PATHS, optionsOf(version))
      t.ok(await answers(), `${point}: meanwhile`)
      t.not(outcomeOf(await conversing), 'wrong')
      t.ok(await answers(), `${point}: afterwards`)
      t.ok(fired()[point] > 0)
      arm()
      beside.tls.end()
      await server.idle()
    }
  })

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
