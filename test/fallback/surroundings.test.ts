import { join } from 'node:path'
import t from 'tap'
import type { SupportReason } from '../../types/index'
import { certificate } from '../certificate'
import { runDoctor } from '../support/doctor'
import { makeFile, makeFolder } from '../support/files'
import { ROOT, nodeJson } from '../support/node'
import { copyPackage } from '../support/package-copy'
import type { Outcome, Surroundings } from './one-reply'

const CHILD = join(__dirname, 'one-reply.js')

/** Node's permission model, with all that the child needs but addons. */
const RESTRICTED = [
  process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission',
  ...(process.allowedNodeEnvironmentFlags.has('--allow-net') ? ['--allow-net'] : []),
  '--allow-fs-read=*',
  '--allow-child-process'
]

interface Expected {
  readonly reason: SupportReason
  readonly detail: RegExp
}

/** Serves a file in a child process, which must get the ordinary reply. */
async function fallsBack (t: Tap.Test, surroundings: Partial<Surroundings>, { reason, detail }: Expected, flags: readonly string[] = []): Promise<void> {
  const file = makeFile(makeFolder(t), 300_000)
  const env = { ...process.env, KTLS_TEST_CERTIFICATE: JSON.stringify(await certificate()) }
  const argument: Surroundings = { root: ROOT, path: file.path, ...surroundings }
  const outcome = await nodeJson<Outcome>([...flags, CHILD, JSON.stringify(argument)], { env })
  t.equal(outcome.sha256, file.sha256)
  t.match(outcome.support, { available: false, reason, detail })
  t.strictSame(outcome.support.backends, [], 'the threads are in the addon too')
  t.match(outcome.decision, { offloaded: false, path: 'node', backend: null, reason })
  t.strictSame(outcome.fallbacks, { [reason]: 1 })
  t.equal(outcome.warnings.length, 1, 'said once')
  t.match(outcome.warnings[0]!.msg, outcome.support.detail!)
}

t.test('without the built addon', async t => {
  const root = makeFolder(t)
  copyPackage(root)
  await fallsBack(t, { root }, { reason: 'addon-missing', detail: /none was built here, .* none for .*; build it: "npm install --save-dev .*native\/build\.js"/s })

  const { code, stdout } = await runDoctor([], { root })
  t.equal(code, 1)
  t.match(stdout, /\nFAIL {2}addon +missing\n +cause: .*none was built here.*\n +remedy: build it: "npm install --save-dev .*native\/build\.js"/)
})

t.test('on a system that is not Linux', async t => {
  await fallsBack(t, { platform: 'darwin' }, { reason: 'not-linux', detail: /is darwin$/ })
})

// Its one visible trait, as the addon reports it.
t.test("in a runtime without OpenSSL's functions", async t => {
  await fallsBack(t, { addon: { missingFunction: 'SSL_get_wbio' } }, { reason: 'openssl-missing', detail: /SSL_get_wbio.*use Node\.js/ })
})

t.test('where Node was told to load no addons', async t => {
  await fallsBack(t, {}, { reason: 'addon-missing', detail: /could not be loaded .*; start Node without --no-addons$/ }, ['--no-addons'])
})

t.test("under Node's permission model, which refuses addons", async t => {
  await fallsBack(t, {}, { reason: 'addon-missing', detail: /could not be loaded .*; start Node with --allow-addons$/ }, RESTRICTED)
})
