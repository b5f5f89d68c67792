/*
 * Without kernel TLS every reply goes the ordinary way where the option `backends`
 * leaves nothing else, and files go by the sender threads where it does. Runs where
 * the kernel has none: on a host without it and in a guest with the module withheld.
 * Elsewhere it fails.
 */
import { release } from 'node:os'
import Fastify from 'fastify'
import t from 'tap'
import { detectContainer } from '../../lib/machine/container'
import { detect } from '../../lib/machine/support'
import { detectModule, explainMissingModule } from '../../lib/machine/tls-module'
import type { MissingModule } from '../../lib/machine/tls-module'
import type { FastifyKtlsOptions } from '../../types/index'
import { certificate } from '../certificate'
import { ktls } from '../support/plugin'
import { REPLIES, compareReplies, visible as visibleButChunks } from '../support/replies'
import { request } from '../support/request'
import type { Response } from '../support/request'
import { startServer } from '../support/server'
import { kernelHasTls } from '../support/ulp'

const REASON = 'kernel-module-missing'
const INFO = 30
const WARN = 40
/** What leaves the kernel alone. */
const KERNEL = { backends: ['kernel'] } as const

const NONE = { kernel: 0, threads: 0, plain: 0 }
const NOTHING = { file: NONE, write: NONE, node: 0 }

type Entry = Record<string, unknown> & { readonly level: number, readonly msg: string }

/** An instance over HTTPS that keeps all it logs; it does not listen. */
async function registered (options: FastifyKtlsOptions) {
  const entries: Entry[] = []
  const app = Fastify({
    https: await certificate(),
    logger: { level: 'trace', stream: { write: (line: string) => { entries.push(JSON.parse(line)) } } }
  })
  app.register(ktls, options)
  return { app, entries }
}

/** All that a client can tell apart, but the time of day. */
function visible ({ status, rawHeaders, sha256 }: Response): object {
  return { status, headers: rawHeaders.map((value, index) => rawHeaders[index - 1] === 'Date' ? 'a date' : value), sha256 }
}

t.test('what the instance says of the kernel', async t => {
  const { app, entries } = await registered(KERNEL)
  await app.ready()
  if (kernelHasTls()) t.bailout('this kernel has kernel TLS, and these tests are for one without it')
  const { support } = app.ktls
  t.equal(support.available, false)
  t.equal(support.reason, REASON)
  const kernel = release()
  const { cause, remedy } = explainMissingModule({ module: detectModule(kernel) as MissingModule['module'], container: detectContainer(), kernel })
  t.equal(support.detail, `${cause}; ${remedy}`)
  t.equal(support.rekey, false)
  t.strictSame(support.backends, ['threads', 'plain'], 'what the option leaves out is there all the same')
  t.notOk(Object.values(support.versions).some(ciphers => Object.values(ciphers).includes(true)))
  t.equal(entries.length, 1, 'one log line')
  t.match(entries[0], { level: WARN, msg: `${support.detail!} (npx fastify-ktls says more)`, ktls: { reason: REASON, kernel: support.kernel } })
  await app.close()
})

t.test('what the instance says where the threads may take the place of the kernel', async t => {
  for (const options of [{}, { backends: ['threads'] }] as const) {
    const { app, entries } = await registered(options)
    await app.ready()
    const { support } = app.ktls
    t.match(support, { available: false, reason: REASON, backends: ['threads', 'plain'] })
    t.equal(entries.length, 1, 'one log line')
    const why = 'backends' in options ? 'the option "backends" leaves the kernel out' : `kernel TLS is not available: ${support.detail!}`
    t.match(entries[0], { level: INFO, msg: `file replies go by sender threads, as ${why}`, ktls: { reason: REASON } })
    await app.close()
  }
})

t.test('every kind of reply is the same as without the plugin', async t => {
  const { app } = await compareReplies(t, { ...KERNEL, minSize: 0 }, async (t, { expected, got, tested }) => {
    t.strictSame(visible(got), visible(expected))
    t.match(await tested.decisions(1), [{ offloaded: false, path: 'node', backend: null, reason: REASON, version: 'TLSv1.3' }])
  })
  const { connections, replies, bytes, fallbacks } = app.ktls.stats()
  t.strictSame(replies, { ...NOTHING, node: REPLIES.length })
  t.strictSame(fallbacks, { [REASON]: REPLIES.length }, 'each is counted by the reason')
  t.strictSame(connections, { seen: 0, promoted: NONE, open: 0 })
  t.strictSame(bytes, NOTHING)
})

t.test('by default the threads send what the kernel would', async t => {
  const { app } = await compareReplies(t, { minSize: 1, backends: ['kernel', 'threads'] }, async (t, { replyCase: { path }, expected, got, tested }) => {
    t.strictSame(visibleButChunks(got), visibleButChunks(expected))
    const [decision] = await tested.decisions(1)
    t.match(decision, { path, backend: path === 'node' ? null : 'threads' })
    t.notOk(decision!.reason === REASON)
  })
  const { connections, replies, fallbacks, kernel, senders } = app.ktls.stats()
  const files = REPLIES.filter(({ path }) => path === 'file').length
  t.strictSame(connections.promoted, { ...NONE, threads: files })
  t.strictSame(replies, { file: { ...NONE, threads: files }, write: NONE, node: REPLIES.length - files })
  t.equal(fallbacks[REASON], undefined)
  t.equal(kernel, null)
  t.ok(senders!.threads > 0 && senders!.cpuSeconds > 0)
})

t.test('the decision is pending until the reply is sent', async t => {
  const { origin } = await startServer(t, {
    ktls: {},
    setup: app => { app.get('/', async request => request.ktls) }
  })
  const { body } = await request(origin)
  t.strictSame(JSON.parse(body.toString()), { offloaded: false, path: null, backend: null, version: null, cipher: null, reason: 'pending' })
})

t.test('mode "require" makes the registration fail', async t => {
  for (const start of ['ready', 'listen'] as const) {
    const { app, entries } = await registered({ mode: 'require' })
    const outcome = start === 'ready' ? Promise.resolve(app.ready()) : app.listen({ port: 0, host: '127.0.0.1' })
    await t.rejects(outcome, { code: 'FST_KTLS_UNAVAILABLE', message: `required but not available (${REASON}): ${detect().support.detail!} (npx fastify-ktls says more)` }, start)
    t.strictSame(entries.filter(({ level }) => level >= WARN), [], 'the error says it, not the log')
    await app.close()
  }
})

t.test('mode "off" does nothing', async t => {
  const { app, entries } = await registered({ mode: 'off' })
  app.get('/', async request => request.ktls)
  await app.ready()
  t.strictSame(entries, [], 'no log line')
  t.match(app.ktls.support, { available: false, reason: 'off' })
  t.strictSame(app.ktls.support.backends, [])
  await app.close()

  const served = await startServer(t, {
    ktls: { mode: 'off' },
    setup: app => { app.get('/', async request => request.ktls) }
  })
  const { body } = await request(served.origin)
  const off = { offloaded: false, path: 'node', backend: null, version: null, cipher: null, reason: 'off' }
  t.strictSame(JSON.parse(body.toString()), off)
  t.match(await served.decisions(1), [off])
  t.strictSame(served.app.ktls.stats(), {
    connections: { seen: 0, promoted: NONE, open: 0 },
    keys: { updated: 0, usedUp: 0 },
    replies: NOTHING,
    bytes: NOTHING,
    fallbacks: {},
    files: { open: 0, hits: 0, misses: { new: 0, changed: 0, request: 0, headers: 0 } },
    senders: null,
    kernel: null
  })
  t.strictSame(served.warnings, [])
})

t.test('options are validated in every mode', async t => {
  for (const mode of ['auto', 'require', 'off'] as const) {
    const { app } = await registered({ mode, minSize: -1 })
    await t.rejects(Promise.resolve(app.ready()), { code: 'FST_KTLS_INVALID_OPTION', message: /"minSize" is -1/ }, mode)
    await app.close()
  }
})
