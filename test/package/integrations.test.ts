import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib'
import t from 'tap'
import { certificate } from '../certificate'
import { StartChild } from '../start/child'
import { freePort } from '../start/free-port'
import { makeFile, sha256 } from '../support/files'
import type { TestFile } from '../support/files'
import { ROOT } from '../support/node'
import { request } from '../support/request'
import type { Response } from '../support/request'
import { run, runDownload } from '../vm/run'
import { packWhatIsBuilt, temporaryFolder } from './pack'
import { blockWith, blocksOf, commandsOf, textOf } from './readme'
import type { Stats } from 'fastify-ktls'

const BLOCKS = blocksOf('docs/integrations.md')

const AGES = ['oldest', 'newest'] as const
type Age = typeof AGES[number]

/** What the page says that it was tried with. Of the newest it names the minor version, and there may be a newer one. */
const VERSIONS = new Map([...textOf('docs/integrations.md').matchAll(/^\|.*?\| (`.+`) \| (\S+) \| (\S+) \|$/gm)].flatMap(([, names, oldest, newest]) =>
  [...names!.matchAll(/`(.+?)`/g)].map(([, name]) => [name!, { oldest: oldest!, newest: `^${newest!}` }] as const)))

function versioned (name: string, age: Age): string {
  const versions = VERSIONS.get(name)
  return versions === undefined ? name : `${name}@${versions[age]}`
}

/** How long a program may take until it serves. Milliseconds. */
const PATIENCE = 120_000

let tarball: string
t.before(async () => { ({ tarball } = await packWhatIsBuilt(t)) })

interface Project {
  readonly age: Age
  readonly folder: string
  readonly file: TestFile
  /** Those of the section that do not install anything. */
  readonly commands: readonly string[]
}

/** A section's project, with its files and packages, and with the file and the certificate of the quick start. */
async function makeProject (t: Tap.Test, heading: string, age: Age, packages: readonly string[]): Promise<Project> {
  const folder = temporaryFolder(t)
  const blocks = BLOCKS.filter(block => block.heading === heading)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'main', private: true, main: 'index.js' }))
  for (const { language, code } of blocks) {
    const name = /^\/\/ (\S+)\n/.exec(code)?.[1] ?? (language === 'json' ? 'watt.json' : undefined)
    if (name === undefined) continue
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), code)
  }
  const { key, cert } = await certificate()
  writeFileSync(join(folder, 'key.pem'), key)
  writeFileSync(join(folder, 'cert.pem'), cert)
  mkdirSync(join(folder, 'files'))
  const file = makeFile(join(folder, 'files'), 3_000_000, 'large.bin')
  const commands = commandsOf(blocks)
  const [first = ['fastify-ktls'], ...later] = commands.flatMap(command => /^npm install (.+)$/.exec(command)?.slice(1) ?? []).map(names => names.split(' '))
  for (const names of [[...first, ...packages], ...later]) {
    const wanted = names.map(name => name === 'fastify-ktls' ? tarball : versioned(name.replace(/@\d+$/, ''), age))
    await runDownload('npm', ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', ...wanted], { cwd: folder })
  }
  // In place of the prebuilt ones, which take minutes: package/install has those.
  const addon = join(folder, `node_modules/fastify-ktls/native/prebuilds/linux-${process.arch}.node`)
  mkdirSync(dirname(addon), { recursive: true })
  copyFileSync(join(ROOT, 'native/build/Release/fastify_ktls.node'), addon)
  return { age, folder, file, commands: commands.filter(command => !command.startsWith('npm install ')) }
}

/** Runs it to its end, without NODE_OPTIONS, by which tap loads code of its own into children. */
function inFolder ({ folder }: Project, command: string): Promise<string> {
  return run('env', ['-u', 'NODE_OPTIONS', 'sh', '-c', command], { cwd: folder })
}

/** Compiled as a project with decorators would be. */
function compile (project: Project, file: string): Promise<string> {
  return inFolder(project, `npx tsc --module nodenext --target es2022 --strict --skipLibCheck --experimentalDecorators --emitDecoratorMetadata --types node --typeRoots ${join(ROOT, 'node_modules/@types')} ${file}`)
}

interface Served {
  readonly child: StartChild
  ask (path: string, headers?: Readonly<Record<string, string>>): Promise<Response>
  stats (): Promise<Stats>
}

/** Starts the program by a command, at a port of its own in place of 8443, which these files or the command name. */
async function serve (t: Tap.Test, project: Project, command: string, files: readonly string[]): Promise<Served> {
  const port = await freePort()
  for (const name of files) {
    const path = join(project.folder, name)
    writeFileSync(path, readFileSync(path, 'utf8').replace(/(port"?: |listen\()8443/, `$1${port}`))
  }
  const child = new StartChild(t, [], {}, ['--chdir', project.folder, '-u', 'NODE_OPTIONS', 'sh', '-c', `exec ${command.replace('--port 8443', `--port ${port} --address 127.0.0.1`)}`], 'env')
  const ask: Served['ask'] = (path, headers = {}) => request(`https://127.0.0.1:${port}/${path}`, { headers })
  let over = false
  child.end().then(() => { over = true })
  for (const end = performance.now() + PATIENCE; ; await setTimeout(100)) {
    const served = await ask('stats').then(({ status }) => status === 200, () => false)
    if (served) return { child, ask, stats: async () => JSON.parse(String((await ask('stats')).body)) as Stats }
    if (over || performance.now() > end) throw new Error(`${command} does not serve: ${child.lines.join('\n')}${over ? (await child.end()).errors : ''}`)
  }
}

/** The file replies that some backend has sent. */
const offloaded = ({ replies: { file } }: Stats) => file.kernel + file.threads + file.plain

/** Each path has the file, and was offloaded; resolves with what is kept open at the end. */
async function check (t: Tap.Test, { file }: Project, { child, ask, stats }: Served, paths: readonly string[] = ['large.bin']): Promise<Stats['files']> {
  for (const [index, path] of paths.entries()) {
    t.equal((await ask(path)).sha256, file.sha256, path)
    t.equal(offloaded(await stats()), index + 1, path)
  }
  const { files } = await stats()
  child.signalGroup('SIGKILL')
  await child.end()
  return files
}

/** A test of a section with the oldest versions, and with the newest. */
function integration (heading: string, packages: readonly string[], use: (t: Tap.Test, project: Project) => Promise<void>): void {
  for (const age of AGES) t.test(`${heading}, the ${age}`, async t => use(t, await makeProject(t, heading, age, packages)))
}

integration('TypeScript', ['typescript', 'fastify', '@fastify/static'], async (t, project) => {
  await compile(project, 'server.ts')
  const served = await serve(t, project, 'node server.js', ['server.js'])
  t.equal((await served.ask('by-node')).sha256, project.file.sha256)
  t.match(await served.stats(), { fallbacks: { 'route-opted-out': 1 } })
  await check(t, project, served)
  t.match(served.child.lines[0], /^(kernel|threads) encrypts, TLSv1\.3$/)
})

integration('Nest', ['typescript'], async (t, project) => {
  await compile(project, 'main.ts')
  const served = await serve(t, project, 'node main.js', ['main.js'])
  await check(t, project, served, ['large.bin', 'report'])
  t.ok(served.child.lines.some(line => /kernel TLS offload is available|file replies go by sender threads/.test(line)), 'the line at start')

  const path = join(project.folder, 'main.ts')
  const [imports, registration] = blockWith('fastifyKtlsStatic').split('\n\n')
  writeFileSync(path, `${imports!}\n${readFileSync(path, 'utf8').replace(/^.*useStaticAssets.*$/m, registration!)}`)
  await compile(project, 'main.ts')
  const keeping = await serve(t, project, 'node main.js', ['main.js'])
  const { hits } = await check(t, project, keeping, ['large.bin', 'large.bin', 'large.bin', 'large.bin', 'report'])
  // Of @fastify/static 10 alone (docs/static.md).
  t.equal(hits > 0, project.age === 'newest', 'kept open')
})

integration('fastify-cli and autoload', [], async (t, project) => {
  const [command] = project.commands
  const served = await serve(t, project, command!, [])
  await check(t, project, served)
  t.ok(served.child.lines.some(line => /kernel TLS offload is available|file replies go by sender threads/.test(line)), 'the line at start')
  writeFileSync(join(project.folder, 'plugins/ktls.js'), "module.exports = require('fastify-ktls')\n")
  await t.rejects(inFolder(project, command!), { message: /option "https" is not known/ }, 'why it is wrapped')
})

integration('Platformatic', [], async (t, project) => {
  await check(t, project, await serve(t, project, project.commands[0]!, ['watt.json']))
})

integration('Jest and Vitest', ['fastify', 'jest', 'vitest'], async (t, project) => {
  for (const command of ['npx jest --testTimeout 60000', 'npx vitest run --globals --testTimeout 60000']) {
    const printed = await inFolder(project, `NO_COLOR=1 CI=1 ${command} 2>&1`)
    t.match(printed, /^ *Tests:? +1 passed(, 1 total| \(1\))/m, command)
  }
})

integration('Bundlers', ['fastify', '@fastify/static', 'esbuild', '@vercel/ncc'], async (t, project) => {
  const [esbuild, ncc, whole, copy] = project.commands
  writeFileSync(join(project.folder, 'app.js'), blockWith('fastify.listen('))
  for (const [commands, file] of [[[esbuild!], 'dist/app.js'], [[ncc!], 'dist/index.js'], [[whole!, copy!], 'dist/app.js']] as const) {
    for (const command of commands) await inFolder(project, command.replaceAll('linux-x64', `linux-${process.arch}`))
    await check(t, project, await serve(t, project, `node ${file}`, [file]))
  }
})

integration('Compression', ['fastify', '@fastify/static', '@fastify/compress'], async (t, project) => {
  const text = JSON.stringify(Array.from({ length: 30_000 }, (_, index) => ({ index, square: index ** 2 })))
  writeFileSync(join(project.folder, 'files/page.json'), text)
  writeFileSync(join(project.folder, 'files/page.json.br'), brotliCompressSync(text))
  copyFileSync(join(project.folder, 'files/page.json'), join(project.folder, 'files/other.json'))
  const served = await serve(t, project, 'node compressed.js', ['compressed.js'])
  const accepting = { 'accept-encoding': 'br, gzip' }
  const page = await served.ask('page.json', accepting)
  t.equal(page.headers['content-encoding'], 'br')
  t.equal(sha256(brotliDecompressSync(page.body)), sha256(text))
  t.equal((await served.ask('large.bin', accepting)).sha256, project.file.sha256, 'as it is')
  t.equal(String((await served.ask('other.json', accepting)).body), text, 'as it is')
  t.equal(offloaded(await served.stats()), 3)
  served.child.signalGroup('SIGKILL')
  await served.child.end()

  // What the page warns of.
  const path = join(project.folder, 'compressed.js')
  writeFileSync(path, readFileSync(path, 'utf8').replace('{ global: false }', '{}').replace(/port: \d+/, 'port: 8443'))
  const warned = await serve(t, project, 'node compressed.js', ['compressed.js'])
  t.notOk((await warned.ask('large.bin')).headers['content-encoding'])
  t.ok((await warned.ask('large.bin', accepting)).headers['content-encoding'])
  t.match(await warned.stats(), { fallbacks: { 'payload-wrapped': 1 } })
})
