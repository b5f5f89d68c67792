import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
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

function program (t: Tap.Test, name: string, args: readonly string[], environment: Readonly<Record<string, string>> = { PORT: '0' }): StartChild {
  return new StartChild(t, args, environment, [join(ROOT, 'dist/examples', `${name}.js`)])
}

function start (t: Tap.Test, name: string): StartChild {
  return program(t, name, [folder])
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
  const child = program(t, 'cluster', [], { PORT: '0', XDG_CACHE_HOME: makeFolder(t) })
  await child.line(/^\d+ processes serve$/)
  t.equal(child.lines.filter(line => line.startsWith('making files')).length, 1)
  child.signal('SIGTERM')
  t.strictSame(await child.end(), { code: 0, errors: '' })
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
  const child = program(t, 'video/app', [])
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

/** What each takes. */
const PROGRAMS: Readonly<Record<string, ReadonlyArray<'FOLDER' | '--port PORT' | '--socket PATH' | '--guest'>>> = {
  minimal: ['FOLDER', '--port PORT'],
  static: ['FOLDER', '--port PORT'],
  archive: ['FOLDER', '--port PORT'],
  downloads: ['FOLDER', '--port PORT'],
  cluster: ['FOLDER', '--port PORT'],
  proxy: ['FOLDER', '--port PORT'],
  'video/app': ['--port PORT'],
  'nginx/app': ['FOLDER', '--socket PATH'],
  'equivalence/run': ['FOLDER'],
  'start/start': ['--guest', '--port PORT']
}

t.test('each program says what it shows and takes, and in one line what is wrong', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as AddressInfo
  const missing = join(folder, 'missing')
  for (const [name, takes] of Object.entries(PROGRAMS)) {
    const hint = `(${name === 'start/start' ? 'npm start -- ' : ''}--help says what is accepted)`
    const folders = takes.includes('FOLDER') ? [folder] : []
    const refused: Array<[args: string[], environment: Record<string, string>, code: number, error: string]> = [
      [['--bogus'], {}, 2, `the option --bogus is not known ${hint}`],
      [[...folders, 'more'], {}, 2, `"more" is one argument too many ${hint}`]
    ]
    if (takes.includes('FOLDER')) {
      refused.push([[missing], {}, 2, `the folder ${missing} is not there ${hint}`], [[file.path], {}, 2, `${file.path} is not a folder ${hint}`])
    }
    if (takes.includes('--port PORT')) {
      refused.push(
        [[...folders, '--port', String(port)], {}, 1, `port ${port} of 127.0.0.1 is in use: end what listens there, or choose another with --port`],
        [folders, { PORT: 'https' }, 2, `PORT is "https"; accepted is a number from 0 to 65535 ${hint}`]
      )
    }
    const help = program(t, name, ['--help'])
    await Promise.all([
      help.end().then(end => { t.strictSame(end, { code: 0, errors: '' }, `${name} --help`) }),
      ...refused.map(async ([args, environment, code, error]) => {
        t.strictSame(await program(t, name, args, environment).end(), { code, errors: `${error}\n` }, `${name} ${args.join(' ')}`)
      })
    ])
    t.match(help.lines[0], /^usage: n(ode|pm) /)
    t.match(help.lines[2], /^[A-Z]/, 'what it shows')
    t.ok(help.lines.length < 15)
    t.strictSame(help.lines.flatMap(line => /^ {2}(\S+(?: [A-Z]+)?) {2,}\S/.exec(line)?.[1] ?? []), [...takes, '--help'], `${name}: its arguments`)
  }
})

t.test('all programs of docs/examples.md are among them', t => {
  const named = [...readFileSync(join(ROOT, 'docs/examples.md'), 'utf8').matchAll(/`node dist\/examples\/(\S+)\.js`/g)].map(([, name]) => name!)
  t.strictSame([...named, 'start/start'].sort(), Object.keys(PROGRAMS).sort())
  t.end()
})

t.test('nginx takes the place of a socket that was left behind, and of nothing else', async t => {
  const path = join(folder, 'app.sock')
  // Its process is killed, so that nothing removes the socket.
  const left = program(t, 'nginx/app', [folder, '--socket', path])
  await left.line(/^ready at /)
  const refused = await program(t, 'nginx/app', [folder], { SOCKET: path }).end()
  t.strictSame(refused, { code: 1, errors: `the socket ${path} is in use: end what listens there, or choose another with --socket\n` })
  left.signal('SIGKILL')
  await left.end()
  t.ok(existsSync(path))

  const child = program(t, 'nginx/app', [folder], { SOCKET: path })
  t.match(await child.line(/^ready at /), path)
  const { code } = await program(t, 'nginx/app', [folder, '--socket', file.path]).end()
  t.equal(code, 2)
  t.equal(sha256(readFileSync(file.path)), file.sha256, 'a file that is no socket is kept')
  child.signal('SIGTERM')
  t.strictSame(await child.end(), { code: 0, errors: '' })
})
