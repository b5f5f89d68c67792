import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { certificateFolder } from '../../examples/start/materials'
import { makeClip } from '../../examples/video/clip'
import { StartChild } from '../start/child'
import { fetchBytes } from '../start/download'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { ROOT } from '../support/node'
import { nodeBinary } from '../vm/node-versions'
import { run } from '../vm/run'

const folder = makeFolder(t)
const file = makeFile(folder, 100_000, '10MB.bin')
const large = makeFile(folder, 1_000_000, '100MB.bin')

function start (t: Tap.Test, name: string): StartChild {
  return new StartChild(t, [folder], { PORT: '0' }, [join(ROOT, 'dist/examples', `${name}.js`)])
}

async function get (url: string): Promise<string> {
  return sha256(await fetchBytes(url, join(await certificateFolder(), 'cert.pem')))
}

// What their replies are over a kernel, or its double, is for examples/replies.
t.test('the programs say where they serve, and do', async t => {
  for (const [name, path] of [['minimal', '/'], ['static', `/${file.name}`], ['cluster', `/${file.name}`]] as const) {
    const child = start(t, name)
    const origin = await child.ready()
    await child.line(/^(Linux \S+ encrypts large files|Sender threads encrypt large files: .*; .* \(npx fastify-ktls says more\))\.$/)
    if (name === 'cluster') await child.line(/^\d+ processes serve$/)
    t.equal(await get(origin + path), file.sha256, name)
    // As Ctrl-C, which a cluster's workers get too.
    child.signalGroup('SIGINT')
    t.strictSame(await child.end(), { code: 0, errors: '' })
  }
})

t.test('cluster makes its files once', async t => {
  const child = new StartChild(t, [], { PORT: '0', XDG_CACHE_HOME: makeFolder(t) }, [join(ROOT, 'dist/examples/cluster.js')])
  await child.line(/^\d+ processes serve$/)
  t.equal(child.lines.filter(line => line.startsWith('making files')).length, 1)
  child.signal('SIGTERM')
  t.strictSame(await child.end(), { code: 0, errors: '' })
})

t.test('cluster fails where no worker can serve', async t => {
  const { code, errors } = await new StartChild(t, [folder], { PORT: 'https' }, [join(ROOT, 'dist/examples/cluster.js')]).end()
  t.equal(code, 1)
  t.match(errors, 'PORT is "https"')
})

t.test('proxy says where the proxy listens', async t => {
  const child = start(t, 'proxy')
  const line = await child.line(/^through a proxy: /)
  t.equal(await get(`${line.replace(/^.* /, '')}/${file.name}`), file.sha256)
  child.signal('SIGTERM')
  t.strictSame(await child.end(), { code: 0, errors: '' })
})

t.test('downloads says how to download', async t => {
  const child = start(t, 'downloads')
  const cwd = makeFolder(t)
  await run('sh', ['-c', await child.line(/^curl /)], { cwd, env: { ...process.env, NO_PROXY: '*' } })
  t.equal(sha256(readFileSync(join(cwd, file.name))), file.sha256)
  child.signal('SIGTERM')
  t.strictSame(await child.end(), { code: 0, errors: '' })
})

t.test('video makes its video', async t => {
  const child = start(t, 'video/app')
  const origin = await child.ready()
  t.equal(await get(`${origin}/clip.mp4`), sha256(makeClip()))
  child.signal('SIGTERM')
  t.strictSame(await child.end(), { code: 0, errors: '' })
})

t.test('the server of the Dockerfile, compiled and as the image has it', async t => {
  const dockerfile = readFileSync(join(ROOT, 'examples/docker/Dockerfile'), 'utf8')
  const [, major, name] = /^FROM node:(\d+)-slim$.*^COPY (\S+) \.\/$.*^CMD \["node", "\2"\]$/ms.exec(dockerfile)!
  t.equal(major, '24')
  const project = makeFolder(t)
  // What npm writes into package.json decides how Node takes the file.
  await run('npm', ['init', '--yes'], { cwd: project })
  copyFileSync(join(ROOT, 'examples/docker', name!), join(project, name!))
  mkdirSync(join(project, 'node_modules'))
  for (const module of ['fastify', '@fastify']) symlinkSync(join(ROOT, 'node_modules', module), join(project, 'node_modules', module))
  symlinkSync(ROOT, join(project, 'node_modules/fastify-ktls'))

  const certificate = await certificateFolder()
  for (const [program, node, signal] of [
    [join(ROOT, 'dist/examples/docker/server.mjs'), process.execPath, 'SIGTERM'],
    [join(project, name!), await nodeBinary(24), 'SIGINT']
  ] as const) {
    const child = new StartChild(t, [], {
      KEY: join(certificate, 'key.pem'), CERT: join(certificate, 'cert.pem'), ROOT: folder, HOST: '127.0.0.1', PORT: '0', NODE_OPTIONS: ''
    }, [program], node)
    const listening = await child.line(/Server listening at /)
    t.equal(await get(`${/https:[^"]+/.exec(listening)![0]}/${file.name}`), file.sha256)
    child.signal(signal)
    t.strictSame(await child.end(), { code: 0, errors: '' })
  }
})

t.test('equivalence prints its table', async t => {
  const child = start(t, 'equivalence/run')
  const { code, errors } = await child.end()
  t.strictSame({ code, errors }, { code: 0, errors: '' })
  t.equal(child.lines[4], 'The bytes are the same.')
  t.equal(child.lines.filter(line => line.endsWith(large.sha256)).length, 3)
  t.equal(child.lines[5], undefined, 'and that something was offloaded')
  const backend = existsSync('/proc/net/tls_stat') ? 'kernel' : 'sender threads'
  t.match(child.lines.slice(1, 4), [/^OpenSSL, SSL_write /, new RegExp(`^${backend}, from file `), new RegExp(`^${backend}, from memory `)])
})
