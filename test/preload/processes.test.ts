/* `node --require fastify-ktls/register app.js`, of applications that do not register the plugin. */
import { join } from 'node:path'
import t from 'tap'
import { makeFile, makeFolder } from '../support/files'
import { ROOT, nodeJson } from '../support/node'
import { copyPackage } from '../support/package-copy'
import { run } from '../vm/run'
import { PRELOAD, defaultBackend, preloadLines, start } from './started'

const file = makeFile(makeFolder(t), 300_000)
const { path } = file

for (const flag of ['--require', '--import']) {
  for (const program of ['app.js', 'esm-app.mjs']) {
    t.test(`${flag}, ${program}`, async t => {
      const outcome = await start({ path }, { flags: [flag, 'fastify-ktls/register'], program })
      t.equal(outcome.sha256, file.sha256)
      const backend = defaultBackend(outcome)
      t.match(outcome.decision, { offloaded: true, path: 'file', backend })
      t.match(outcome.stats, { connections: { seen: 1, promoted: { [backend]: 1 } }, replies: { file: { [backend]: 1 } } })
      t.match(preloadLines(outcome), [/^fastify-ktls\/register: (file replies go by sender threads|kernel TLS offload is available)/], 'said once')
      t.equal(preloadLines(outcome).length, 1)
    })
  }
}

t.test('without it', async t => {
  const outcome = await start({ path }, { flags: [] })
  t.equal(outcome.sha256, file.sha256)
  t.notOk(outcome.stats)
  t.notOk(outcome.decision)
})

t.test('the oldest Fastify 5', async t => {
  const outcome = await start({ path, fastify: 'fastify-5.0' })
  t.equal(outcome.sha256, file.sha256)
  t.match(outcome.decision, { offloaded: true, backend: defaultBackend(outcome) })
})

t.test('plain HTTP', async t => {
  const outcome = await start({ path, server: 'http' })
  t.equal(outcome.sha256, file.sha256)
  t.match(outcome.stats, { connections: { promoted: { plain: 1 } }, replies: { file: { plain: 1 } } })
  t.strictSame(preloadLines(outcome), ['fastify-ktls/register: file replies go by sendfile(2), as this instance has no TLS'])
})

t.test('HTTP/2', async t => {
  const outcome = await start({ path, server: 'http2' })
  t.equal(outcome.sha256, file.sha256)
  t.match(outcome.decision, { offloaded: false, path: 'node', reason: 'http2' })
})

t.test("a server of the application's own", async t => {
  const outcome = await start({ path, server: 'serverFactory' })
  t.equal(outcome.sha256, file.sha256)
  t.match(outcome.decision, { offloaded: true, backend: defaultBackend(outcome) })
})

t.test('a worker thread', async t => {
  const outcome = await start({ path, worker: true })
  t.equal(outcome.sha256, file.sha256)
  t.match(outcome.stats, { replies: { file: { [defaultBackend(outcome)]: 1 } } })
})

t.test('Fastify 4 is left alone', async t => {
  const outcome = await start({ path, fastify: 'fastify-4' })
  t.equal(outcome.sha256, file.sha256)
  t.notOk(outcome.stats)
  t.match(preloadLines(outcome), [/^fastify-ktls\/register: this instance of Fastify 4\.\d+\.\d+ is left alone, as fastify-ktls is for Fastify 5$/])
})

t.test('without the built addon', async t => {
  const folder = makeFolder(t)
  copyPackage(join(folder, 'node_modules/fastify-ktls'))
  const outcome = await start({ path }, { cwd: folder })
  t.equal(outcome.sha256, file.sha256)
  t.match(outcome.stats, { fallbacks: { 'addon-missing': 1 }, replies: { node: 1 } })
  t.match(preloadLines(outcome), [/^fastify-ktls\/register: kernel TLS offload is not available, replies go the ordinary way: .*none was built here/])
})

t.test('where Node was told to load no addons', async t => {
  const outcome = await start({ path }, { flags: [...PRELOAD, '--no-addons'] })
  t.equal(outcome.sha256, file.sha256)
  t.match(outcome.stats, { fallbacks: { 'addon-missing': 1 } })
})

t.test('a process without Fastify loads nothing else', async t => {
  const lib = join(ROOT, 'dist/lib')
  const loaded = `Object.keys(require.cache).filter(path => path.startsWith(${JSON.stringify(lib)}))`
  t.strictSame(await nodeJson([...PRELOAD, '--print', `JSON.stringify(${loaded})`], { cwd: ROOT }), [join(lib, 'register.js')])
})

t.test('by NODE_OPTIONS', async t => {
  const program = "console.log(require('node:diagnostics_channel').hasSubscribers('fastify.initialization'))"
  t.equal(await run('env', [`NODE_OPTIONS=${PRELOAD.join(' ')}`, process.execPath, '--eval', program], { cwd: ROOT }), 'true\n')
})
