import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { Compilers } from '../../native/prebuilt/compilers'
import { makeFile } from '../support/files'
import type { TestFile } from '../support/files'
import { runDoctor } from '../support/doctor'
import { NODE_MAJORS, fetchNode, nodeBinary } from '../vm/node-versions'
import { run } from '../vm/run'
import { FILE } from './app'
import type { Outcome } from './app'
import { loadUnderMusl, symbolsOf } from './musl'
import { pack, temporaryFolder } from './pack'
import { qemuArm64 } from './qemu-user'
import { CERTIFICATE, QUICK_START, blockWith, composeProgram } from './readme'
import { LARGE, MARK } from './readme-driver'
import type { ReadmeOutcome } from './readme-driver'

const CLI = join(__dirname, '../vm/cli.js')

/** An empty project in which the package has been installed, with no script run. */
let folder: string
let file: TestFile

t.before(async () => {
  const { tarball } = await pack(t)
  folder = temporaryFolder(t)
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  await run('npm', ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', tarball, 'fastify@5', '@fastify/static', 'prom-client@15'], { cwd: folder })
  file = makeFile(folder, 300_000, FILE)
  await run('sh', ['-c', CERTIFICATE], { cwd: folder })
  copyFileSync(join(__dirname, 'app.js'), join(folder, 'app.js'))
})

/** By a shell, which keeps from the child what tap has children load. */
const inFolder = (node: string, ...args: readonly string[]) => run('env', ['-u', 'NODE_OPTIONS', node, ...args], { cwd: folder })

function check (t: Tap.Test, outcome: Outcome, arch: string = process.arch): void {
  t.equal(outcome.sha256, file.sha256)
  t.strictSame(outcome.addons, [`native/prebuilds/linux-${arch}.node`])
}

for (const major of NODE_MAJORS) {
  t.test(`on Node ${major}`, async t => {
    const node = await nodeBinary(major)
    const outcome = JSON.parse(await inFolder(node, 'app.js')) as Outcome
    check(t, outcome)
    t.match(outcome.decision, { path: 'file', backend: outcome.support.backends[0] })
    t.not(outcome.support.reason, 'addon-missing')
    const names = await inFolder(node, '--input-type=module', '-e', "import ktls, { fastifyKtls } from 'fastify-ktls'; console.log(typeof ktls, ktls === fastifyKtls)")
    t.equal(names, 'function true\n', 'it can be imported')
    const doctor = await inFolder(node, 'node_modules/.bin/fastify-ktls').catch((error: Error) => error.message)
    t.match(doctor, /kernel/i, 'the doctor runs')
  })
}

t.test('on Node for arm64, under QEMU', async t => {
  const { arm64 } = await Compilers.get(message => t.comment(message))
  const outcome = JSON.parse(await inFolder(await qemuArm64(), '-L', arm64, await fetchNode(24, 'arm64'), 'app.js')) as Outcome
  check(t, outcome, 'arm64')
  // It asks this machine's kernel, of which QEMU hides kernel TLS and what TCP has sent.
  t.match(outcome, { decision: { path: 'node', reason: 'not-ready' }, support: { reason: /^kernel-/, backends: ['threads'] } })
})

t.test("musl's loader finds all that the addon takes", async t => {
  const addon = (arch: string) => join(folder, `node_modules/fastify-ktls/native/prebuilds/linux-${arch}.node`)
  const [x64, arm64] = await Promise.all([symbolsOf(addon('x64')), symbolsOf(addon('arm64'))])
  t.equal(await loadUnderMusl(t, addon('x64'), x64), 'loaded\n')
  // musl has this for each processor; gcc asks it for the atomic instructions of arm64.
  const known = new Set(['__getauxval', ...x64.map(({ name }) => name)])
  t.strictSame(arm64.filter(({ name }) => !known.has(name)), [], 'arm64 takes nothing else from libc')
})

t.test('the application of README and docs, through the kernel', async t => {
  makeFile(folder, 30_000_000, LARGE)
  for (const name of ['readme-driver.js', 'app.js']) copyFileSync(join(__dirname, name), join(folder, name))
  const program = join(folder, 'readme.js')
  writeFileSync(program, `${composeProgram(folder)}\nrequire('./readme-driver').drive(fastify)\n`)
  // The README's paths of key and certificate are those of the folder it runs in.
  const printed = await run(process.execPath, [CLI, '--kernel', '6.12', '--timeout', '240', '--', 'env', '--chdir', folder, await nodeBinary(24), program])
  const lines = printed.trim().split('\n')
  const { sha256, metrics, stats } = JSON.parse(lines.find(line => line.startsWith(MARK))!.slice(MARK.length)) as ReadmeOutcome
  t.equal(sha256, file.sha256)
  t.match(stats, { connections: { promoted: { kernel: 2 } }, replies: { file: { kernel: 2 } } })
  t.ok(stats.kernel!.promoted.software >= 2)
  t.match(lines.find(line => line.includes('a download ended early')), /"sent":\d+,"length":30000000/, 'the event was heard')
  t.match(lines.find(line => line.includes('not offloaded')), '"reason":"data"', 'the decision was seen')
  t.match(metrics, /^fastify_ktls_replies_total\{path="file",backend="kernel"\} 2$/m)
  const shown = runInNewContext(`(${blockWith('connections: { seen')})`) as typeof stats
  t.strictSame(keysOf({ ...shown, fallbacks: null }), keysOf({ ...stats, fallbacks: null }))
})

t.test('the quick start as it is written, through the kernel', async t => {
  const empty = join(folder, 'quick-start')
  mkdirSync(empty)
  writeFileSync(join(empty, 'app.js'), blockWith('fastify.listen('))
  for (const command of QUICK_START.prepare) await run('sh', ['-c', command], { cwd: empty })
  const printed = await run(process.execPath, [CLI, '--kernel', '6.12', '--timeout', '240', '--', 'env', '--chdir', empty, 'NO_PROXY=*', await nodeBinary(24), join(__dirname, 'quick-start.js'), ...QUICK_START.use])
  const stats = JSON.parse(printed.trim().split('\n').at(-1)!) as ReadmeOutcome['stats']
  t.match(stats, { connections: { promoted: { kernel: 1 } }, replies: { file: { kernel: 1 } }, bytes: { file: { kernel: 30_000_000 } } })
  t.ok(stats.kernel!.promoted.software >= 1)
})

t.test('the doctor says what its page shows', async t => {
  const shown = blockWith('warn  module tls')
  const { stdout } = await runDoctor([], { root: join(folder, 'node_modules/fastify-ktls') })
  for (const [, label] of shown.matchAll(/^(?:ok|warn) +(\w+(?: \w+)?) {2,}/gm)) t.match(stdout, new RegExp(`^(ok  |warn|\\?   )  ${label!} {2,}`, 'm'), label!)
})

t.test('the addon is built by the commands of compatibility.md', async t => {
  await t.rejects(inFolder(process.execPath, 'node_modules/fastify-ktls/native/build.js'), { message: /: fastify-ktls: first: npm install --save-dev node-gyp node-addon-api$/ })
  await run('npm', ['install', '--save-dev', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', 'node-gyp@12', 'node-addon-api'], { cwd: folder })
  await inFolder(process.execPath, 'node_modules/fastify-ktls/native/build.js')
  const outcome = JSON.parse(await inFolder(process.execPath, 'app.js')) as Outcome
  t.strictSame(outcome.addons, ['native/build/Release/fastify_ktls.node'])
  t.equal(outcome.sha256, file.sha256)
})

/** As text, the names of an object's properties, and of theirs. */
function keysOf (value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return null
  return Object.entries(value).map(([key, inner]) => [key, keysOf(inner)])
}
