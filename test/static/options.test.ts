/* What fastify-ktls/static answers is what @fastify/static does, from the first time to the one that comes from a file kept open. */
import { once } from 'node:events'
import fs, { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyStaticOptions } from '@fastify/static'
import Fastify from 'fastify'
import type { FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import { makeFolder, openCount } from '../support/files'
import { countCalls } from '../support/fs-calls'
import { until } from '../support/wait'
import { compared, keepingStatic } from './compared'

/** The first answer, the one that is learnt, and what is kept. */
const TIMES = 4

const root = makeFolder(t)
const other = makeFolder(t)
for (const [folder, name, content] of [
  [root, 'a.txt', 'a'.repeat(5000)], [root, 'a.txt.br', 'compressed'], [root, 'a.txt.gz', 'zipped'], [root, 'index.html', '<p>index</p>'],
  [root, 'page.html', '<p>page</p>'], [root, '.hidden', 'hidden'], [root, 'sub/index.html', '<p>sub</p>'], [root, 'sub/b.js', 'b()'],
  [root, 'sub/deep/c.css', 'c {}'], [root, 'empty', ''], [root, 'with space.txt', 'space'], [root, 'häßlich.txt', 'ä'], [root, '100%.txt', '%'],
  [root, 'sub/main.htm', 'main'], [root, 'large.bin', 'x'.repeat(300_000)], [other, 'a.txt', 'the other root'], [other, 'only.txt', 'only there'],
  [other, 'sub/d.txt', 'd']
] as const) {
  mkdirSync(join(folder, name, '..'), { recursive: true })
  writeFileSync(join(folder, name), content)
}
symlinkSync('a.txt', join(root, 'link.txt'))
symlinkSync(join(other, 'only.txt'), join(root, 'outside.txt'))

/** Too long to be remembered. */
const longRoot = makeFolder(t)
const longPath = `/${Array(4).fill('d'.repeat(200)).join('/')}`
mkdirSync(join(longRoot, longPath, '..'), { recursive: true })
writeFileSync(join(longRoot, longPath), 'deep')

const OPTIONS: Record<string, FastifyStaticOptions> = {
  'the defaults': { root },
  'a URL for a root': { root: pathToFileURL(root) },
  'a root with a slash': { root: `${root}/` },
  'a prefix': { root, prefix: '/assets/' },
  'a prefix with a parameter': { root, prefix: '/:version/' },
  'compressed siblings': { root, preCompressed: true },
  'another index': { root, index: ['main.htm', 'index.html'] },
  'no index': { root, index: false },
  extensions: { root, extensions: ['html', 'txt'] },
  'two roots': { root: [other, root] },
  'two roots, compressed': { root: [other, root], preCompressed: true },
  'a root that is not there': { root: [join(root, 'none'), root], suppressWarning: true },
  'no wildcard': { root, wildcard: false },
  'no wildcard, two roots': { root: [other, root], wildcard: false },
  redirects: { root, redirect: true },
  'dot files denied': { root, dotfiles: 'deny' },
  'dot files ignored': { root, dotfiles: 'ignore' },
  'ages, and immutable': { root, maxAge: '1d', immutable: true },
  'fewer headers': { root, etag: false, lastModified: false, acceptRanges: false, cacheControl: false, contentType: false },
  'a listing': { root, list: true },
  setHeaders: { root, setHeaders: (reply, path) => { reply.header('x-path', path) } },
  allowedPath: { root, allowedPath: path => path !== '/a.txt' }
}

const PATHS = [
  '/', '/a.txt', '/a.txt?query', '/a.txt/', '/a', '/page', '/index.html', '/link.txt', '/outside.txt', '/.hidden', '/sub', '/sub/', '/sub/b.js',
  '/sub/deep/c.css', '/sub/d.txt', '/only.txt', '/empty', '/with%20space.txt', '/h%C3%A4%C3%9Flich.txt', '/100%25.txt', '/large.bin', '/nope', '/sub/nope',
  '/../a.txt', '/%2e%2e/a.txt', '/sub/../a.txt', '/sub/%2e%2e/a.txt', '//a.txt', '/./a.txt', '/sub%2Fb.js', '/sub\\b.js', '/a.txt%00', '/%', '/A.TXT'
]

const HEADERS: ReadonlyArray<NonNullable<InjectOptions['headers']>> = [
  {}, { 'accept-encoding': 'br, gzip' }, { 'accept-encoding': 'gzip;q=1, *;q=0' }, { range: 'bytes=1-3' }, { range: 'bytes=999999999-' },
  { 'if-none-match': '*' }, { 'if-none-match': '*', 'cache-control': 'no-cache' }, { 'cache-control': 'no-cache' }, { 'if-modified-since': new Date(Date.now() + 1e6).toUTCString() }, { 'if-match': '"none"' }, { 'if-unmodified-since': new Date(0).toUTCString() }
]

// Older than what is believed to be unchanged.
t.before(() => until(() => Date.now() - fs.statSync(root).ctimeMs > 50))

for (const [name, options] of Object.entries(OPTIONS)) {
  t.test(name, async t => {
    const { ask } = await compared(t, options)
    const prefix = (options.prefix ?? '/').replace(':version', 'v1').slice(0, -1)
    for (const path of PATHS) {
      const url = prefix + path
      const requests: InjectOptions[] = [...HEADERS.map(headers => ({ url, headers })), { url, method: 'HEAD' }]
      const wrong: unknown[] = []
      for (const request of requests.flatMap(request => Array<InjectOptions>(TIMES).fill(request))) {
        const [kept, plain] = await ask(request)
        if (kept !== plain) wrong.push([request, kept, plain])
      }
      t.strictSame(wrong, [], path)
    }
  })
}

t.test('what is kept, and what is not', async t => {
  const opens = countCalls(t, 'open')
  for (const [options, path, keeps] of [
    [{ root }, '/a.txt', true], [{ root }, '/', true], [{ root }, '/large.bin', true], [{ root }, '/link.txt', true], [{ root }, '/outside.txt', true],
    [{ root, preCompressed: true }, '/a.txt', true], [{ root: [other, root] }, '/sub/b.js', true], [{ root, prefix: '/x/' }, '/x/sub/b.js', true],
    [{ root }, '/sub', true], [{ root }, '/with%20space.txt', true], [{ root }, '/%61.txt', false], [{ root, index: ['index.html', 'page.html'] }, '/a.txt', true],
    [{ root, extensions: ['html'] }, '/page', true], [{ root, list: true }, '/a.txt', true], [{ root, etag: false, contentType: false }, '/a.txt', true], [{ root, wildcard: false }, '/sub/b.js', true], [{ root, prefix: '/:a/' }, '/1/a.txt', false],
    [{ root }, '/empty', true], [{ root }, `/a.txt?${'x'.repeat(600)}`, true], [{ root: longRoot, wildcard: false }, longPath, false], [{ root, setHeaders: () => {} }, '/a.txt', true], [{ root, allowedPath: () => true }, '/a.txt', false]
  ] as const) {
    const { kept } = await compared(t, options as FastifyStaticOptions)
    for (let time = 1; time <= 3; time++) await kept.inject(path)
    const before = opens()
    t.equal((await kept.inject(path)).statusCode, 200)
    t.equal(opens() - before, keeps ? 0 : 1, `${JSON.stringify(options)} ${path}`)
    await kept.close()
  }
  await until(() => openCount(join(root, 'a.txt')) === 0)
})

t.test("another's headers are not kept", async t => {
  const opens = countCalls(t, 'open')
  let user = 'none'
  const { ask, kept } = await compared(t, { root }, app => {
    app.addHook('onRequest', async (request, reply) => { reply.header('set-cookie', `user=${request.headers.user}`).header('vary', 'origin') })
    app.addHook('onSend', async (request, reply) => { reply.header('x-user', request.headers.user).header('x-seen', user) })
  })
  for (user of ['anna', 'bert', 'anna', 'carl', 'dora']) {
    const [one, two] = await ask({ url: '/a.txt', headers: { user } })
    t.equal(one, two)
    t.match(one, `user=${user}`)
  }
  const before = opens()
  await kept.inject({ url: '/a.txt', headers: { user: 'emil' } })
  t.equal(opens(), before, 'the file was')
})

t.test("a hook's own content type, status and cache-control are left alone", async t => {
  const { ask } = await compared(t, { root }, app => {
    app.addHook('preHandler', async (request, reply) => {
      if (request.headers.kind !== undefined) reply.header('content-type', request.headers.kind).header('cache-control', 'private')
      if (request.headers.code !== undefined) reply.code(Number(request.headers.code))
    })
  })
  for (const headers of [{}, { kind: 'text/x' }, {}, { kind: 'text/y' }, {}, { code: '203' }, {}, { kind: 'text/z', code: '203' }, {}]) {
    for (let time = 0; time < 3; time++) {
      const [kept, plain] = await ask({ url: '/a.txt', headers })
      t.equal(kept, plain, JSON.stringify(headers))
    }
  }
})

t.test('a file that the handler of 404, or of errors, sends is not the answer', async t => {
  const { ask } = await compared(t, { root, dotfiles: 'deny' }, app => {
    app.setNotFoundHandler((request, reply) => reply.code(200).header('set-cookie', `visit=${request.headers.visit}`).sendFile('index.html'))
    app.setErrorHandler((_error, request, reply) => reply.code(200).header('etag', `${request.headers.visit}`).send(fs.createReadStream(join(root, 'page.html'))))
  })
  for (let visit = 1; visit <= 5; visit++) {
    for (const url of ['/nope', '/.hidden', '/sub/../a.txt']) {
      const [kept, plain] = await ask({ url, headers: { visit } })
      t.equal(kept, plain)
      t.match(kept, `${visit}`)
    }
  }
})

t.test('a route guard holds, whatever is kept', async t => {
  const { ask } = await compared(t, { root }, app => {
    app.addHook('onRequest', async (request, reply) => {
      if (request.url.startsWith('/sub/') && request.headers.key !== 'right') return reply.code(401).send('no')
    })
  })
  for (const key of ['right', 'wrong', 'right', 'right', 'wrong', 'right', 'wrong']) {
    for (const url of ['/sub/b.js', '/sub%2Fb.js', '//sub/b.js', '/./sub/b.js', '/sub/deep/../b.js']) {
      const [kept, plain] = await ask({ url, headers: { key } })
      t.equal(kept, plain, `${url} ${key}`)
    }
  }
})

t.test('what an onRoute hook of the application puts around a handler is asked each time', async t => {
  const { ask } = await compared(t, { root }, app => {
    app.addHook('onRoute', route => {
      const { handler } = route
      route.handler = function (request, reply) {
        if (request.headers.key !== 'right') return reply.code(401).send('no')
        reply.header('x-user', request.headers.user)
        return handler.call(this, request, reply)
      }
    })
  })
  for (const [key, user] of [['right', 'anna'], ['right', 'bert'], ['right', 'carl'], ['wrong', 'dora'], ['right', 'emil'], ['wrong', 'anna']]) {
    const [kept, plain] = await ask({ url: '/a.txt', headers: { key, user } })
    t.equal(kept, plain, `${key} ${user}`)
  }
})

t.test('one that awaits the handler, and is done when the reply is', async t => {
  const ended: boolean[] = []
  const { ask } = await compared(t, { root }, app => {
    app.addHook('onRoute', route => {
      const { handler } = route
      route.handler = async function (request, reply) {
        try {
          return await handler.call(this, request, reply)
        } finally {
          ended.push(reply.raw.writableEnded)
        }
      }
    })
  })
  for (let time = 1; time <= TIMES; time++) {
    const [kept, plain] = await ask({ url: '/a.txt' })
    t.equal(kept, plain)
    t.match(kept, '5000')
  }
  await until(() => ended.length === 2 * TIMES)
  t.ok(ended.every(Boolean))
})

t.test('a hook that has its own way to set headers', async t => {
  const { ask } = await compared(t, { root }, app => {
    app.addHook('preHandler', async (request, reply) => {
      const { user } = request.headers
      if (user === undefined) return
      const { headers } = reply
      reply.headers = values => headers.call(reply, { ...values, 'cache-control': `private, for=${user}` })
    })
  })
  for (const headers of [{ user: 'anna' }, { user: 'anna' }, { user: 'anna' }, {}, {}, {}, { user: 'bert' }, {}] as Array<Record<string, string>>) {
    const [kept, plain] = await ask({ url: '/a.txt', headers })
    t.equal(kept, plain)
  }
})

t.test('options that are not valid are refused as ever', async t => {
  for (const options of [{ root: 5 }, { root: null }, { root: new URL('http://x/y') }, { root: 'relative' }, { root, wildcard: 'x' }, {}]) {
    const refused = await Promise.all([fastifyStatic, keepingStatic].map(async plugin => {
      const app = Fastify()
      const error = await app.register(plugin, options as unknown as FastifyStaticOptions).ready().then(() => undefined, error => error as Error)
      await app.close()
      return String(error)
    }))
    t.equal(refused[1], refused[0], String(refused[0]))
  }
})

t.test('a route of the application that is added with ours is its own', async t => {
  const { ask } = await compared(t, { root }, app => {
    let added = false
    app.addHook('onRoute', function () {
      if (added) return
      added = true
      this.get<{ Querystring: { u: string } }>('/mine', (request, reply) => request.query.u === 'admin' ? reply.sendFile('a.txt') : reply.code(403).send('no'))
    })
  })
  for (const user of ['admin', 'admin', 'admin', 'eve']) {
    const [kept, plain] = await ask({ url: `/mine?u=${user}` })
    t.equal(kept, plain, user)
  }
})

t.test('a hook that waits for the stream to open', async t => {
  const { ask } = await compared(t, { root }, app => {
    app.addHook('onSend', async (_request, _reply, payload) => payload)
    app.addHook('onSend', async (_request, _reply, payload) => {
      if (payload instanceof fs.ReadStream) await once(payload, 'open')
      return payload
    })
  })
  for (let time = 1; time <= TIMES; time++) {
    const [kept, plain] = await ask({ url: '/a.txt' })
    t.equal(kept, plain)
  }
})

t.test('what comes late from a hook that nobody awaits is not learnt', async t => {
  for (const options of [{ root, cacheControl: false }, { root }]) {
    const { ask } = await compared(t, options, app => {
      app.addHook('preHandler', (request, reply, done) => {
        const { user } = request.headers
        Promise.resolve().then(() => {
          if (user !== undefined) reply.header('cache-control', `private, for=${user}`)
          if (user === 'busy') reply.header('content-length', 13).send(fs.createReadStream(join(root, 'page.html'), { end: 12 }))
        })
        done()
      })
    })
    for (const user of ['anna', 'anna', 'bert', undefined, 'busy', 'busy', undefined, 'carl', undefined]) {
      const [kept, plain] = await ask({ url: '/a.txt', headers: user === undefined ? {} : { user } })
      // Who comes first in the others' replies is a race, without the plugin too.
      if (user === undefined) t.equal(kept, plain)
    }
  }
})

t.test('hooks that change what was asked', async t => {
  for (const options of [{ root }, { root, wildcard: false }]) {
    const { ask } = await compared(t, options, app => {
      app.addHook('onRequest', async request => {
        if (request.headers.url !== undefined) request.raw.url = String(request.headers.url)
        if (request.headers.hide !== undefined) Object.defineProperty(request, 'headers', { value: {} })
      })
    })
    for (const headers of [{}, {}, {}, { url: '/sub/b.js' }, { url: '/sub/b.js' }, { url: '/sub/b.js' }, {}, { hide: '1', range: 'bytes=1-2' }, { hide: '1', 'if-none-match': '*' }] as Array<Record<string, string>>) {
      for (const url of ['/a.txt', '/page.html']) {
        const [kept, plain] = await ask({ url, headers })
        t.equal(kept, plain, `${url} ${JSON.stringify(headers)}`)
      }
    }
  }
})

t.test('two registrations, and reply.sendFile beside them', async t => {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(keepingStatic, { root, prefix: '/one/' })
  await app.register(keepingStatic, { root: other, prefix: '/two/', decorateReply: false })
  app.get('/own', (_request, reply) => reply.sendFile('page.html'))
  app.get('/down', (_request, reply) => reply.download('page.html', 'name.html'))
  for (let time = 1; time <= TIMES; time++) {
    t.equal((await app.inject('/one/a.txt')).body, 'a'.repeat(5000))
    t.equal((await app.inject('/two/a.txt')).body, 'the other root')
    t.equal((await app.inject('/own')).body, '<p>page</p>')
    t.match((await app.inject('/down')).headers['content-disposition'], 'name.html')
  }
})
