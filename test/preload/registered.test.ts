/* Beside a preload, the application's own registration of the plugin holds. */
import { join } from 'node:path'
import t from 'tap'
import type { FastifyKtlsOptions } from '../../types/index'
import { makeFile, makeFolder } from '../support/files'
import { ROOT } from '../support/node'
import { copyPackage } from '../support/package-copy'
import type { Application, Outcome } from './app'
import { PRELOAD, defaultBackend, preloadLines, start } from './started'

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)
const { path } = file
const PLUGIN = join(ROOT, 'dist/lib/index.js')

/** Beside the preload, which must not be seen to do anything, and without it. */
async function bothWays (t: Tap.Test, application: Omit<Application, 'path'>): Promise<Outcome> {
  const [outcome, expected] = await Promise.all([start({ path, ...application }), start({ path, ...application }, { flags: [] })])
  t.strictSame(preloadLines(outcome), [])
  const { stats, decision, failed, log } = expected
  t.match(outcome, { ...decision && { decision }, ...failed && { failed }, ...stats && { stats: { connections: { seen: stats.connections.seen, promoted: stats.connections.promoted }, replies: stats.replies, fallbacks: stats.fallbacks } } }, 'as without the preload')
  t.strictSame(outcome.log.map(({ msg }) => withoutPorts(msg)), log.map(({ msg }) => withoutPorts(msg)), 'and so is the log')
  if (failed === undefined) t.equal(outcome.sha256, file.sha256)
  return outcome
}

function withoutPorts (message: string): string {
  return message.replace(/:\d+$/, '')
}

function registered (options: FastifyKtlsOptions): Pick<Application, 'registrations'> {
  return { registrations: [{ plugin: PLUGIN, options }] }
}

t.test('without options', async t => {
  const outcome = await bothWays(t, registered({}))
  t.match(outcome.stats!.replies.file, { [defaultBackend(outcome)]: 1 })
})

t.test('mode "off"', async t => {
  const { decision, support, stats } = await bothWays(t, registered({ mode: 'off' }))
  t.match(decision, { path: 'node', reason: 'off' })
  t.match(support, { available: false, reason: 'off' })
  t.match(stats, { connections: { seen: 0 }, senders: null })
})

t.test('backends', async t => {
  t.match((await bothWays(t, registered({ backends: ['threads'] }))).stats, { replies: { file: { threads: 1 } } })
  t.match((await bothWays(t, registered({ backends: ['plain'] }))).decision, { path: 'node', reason: 'tls' })
})

t.test('minSize', async t => {
  t.match((await bothWays(t, registered({ minSize: file.size + 1 }))).decision, { path: 'node', reason: 'too-small' })
})

t.test('mode "require" makes the start fail where the kernel cannot', async t => {
  const { failed } = await bothWays(t, { ...registered({ mode: 'require' }), server: 'http' })
  t.equal(failed, 'FST_KTLS_UNAVAILABLE')
})

t.test('an option that is not known does, too', async t => {
  const { failed } = await bothWays(t, registered({ minsize: 1 } as FastifyKtlsOptions))
  t.equal(failed, 'FST_KTLS_INVALID_OPTION')
})

t.test('a second registration is still one too many', async t => {
  const { failed } = await bothWays(t, { registrations: [{ plugin: PLUGIN, options: {} }, { plugin: PLUGIN, options: {} }] })
  t.equal(failed, 'FST_KTLS_ALREADY_REGISTERED')
})

t.test('of another copy of the package', async t => {
  const copy = join(folder, 'copy')
  copyPackage(copy, join(ROOT, 'native/build/Release/fastify_ktls.node'))
  const plugin = join(copy, 'dist/lib/index.js')
  const { stats } = await bothWays(t, { registrations: [{ plugin, options: { backends: ['threads'] } }] })
  t.match(stats, { replies: { file: { threads: 1 } } })
  const { failed } = await bothWays(t, { registrations: [{ plugin, options: {} }, { plugin: PLUGIN, options: {} }] })
  t.equal(failed, 'FST_KTLS_ALREADY_REGISTERED')

  const both = await start({ path }, { flags: [...PRELOAD, '--require', join(copy, 'dist/lib/register.js')] })
  t.equal(both.sha256, file.sha256)
  t.equal(preloadLines(both).length, 1, 'two preloads, one of which does it')
  t.match(both.stats!.replies.file, { [defaultBackend(both)]: 1 })
})
