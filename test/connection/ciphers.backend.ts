import t from 'tap'
import { statsOf } from '../support/backend'
import { curl } from '../support/curl'
import { makeFile, makeFolder } from '../support/files'
import { countPromotions } from '../support/kernel'
import { serveFolder } from '../support/static'

const SIZES = [0, 1, 16383, 16384, 16385, 1 << 20, 20 << 20]

/** Each version and cipher that a backend can take over, as curl names them. */
const SUITES = [
  { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', args: ['--tlsv1.3', '--tls13-ciphers', 'TLS_AES_128_GCM_SHA256'] },
  { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', args: ['--tlsv1.3', '--tls13-ciphers', 'TLS_AES_256_GCM_SHA384'] },
  { version: 'TLSv1.3', cipher: 'TLS_CHACHA20_POLY1305_SHA256', args: ['--tlsv1.3', '--tls13-ciphers', 'TLS_CHACHA20_POLY1305_SHA256'] },
  { version: 'TLSv1.2', cipher: 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', args: ['--tls-max', '1.2', '--ciphers', 'ECDHE-ECDSA-AES128-GCM-SHA256'] },
  { version: 'TLSv1.2', cipher: 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', args: ['--tls-max', '1.2', '--ciphers', 'ECDHE-ECDSA-AES256-GCM-SHA384'] },
  { version: 'TLSv1.2', cipher: 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', args: ['--tls-max', '1.2', '--ciphers', 'ECDHE-ECDSA-CHACHA20-POLY1305'] }
]

t.test('every version and cipher serves files of every size to curl', async t => {
  const folder = makeFolder(t)
  const files = SIZES.map(size => makeFile(folder, size))
  for (const { version, cipher, args } of SUITES) {
    await t.test(`${version} ${cipher}`, async t => {
      const { origin, decisions } = await serveFolder(t, folder, { ktls: { minSize: 0 } })
      const before = countPromotions()
      const downloads = await curl(folder, files.map(file => `${origin}/${file.name}`), args)
      t.equal(countPromotions() - before, 1, 'the backend got one transmit key')
      const decided = await decisions(files.length)
      for (const [index, file] of files.entries()) {
        const { status, size, sha256 } = downloads[index]!
        t.strictSame({ status, size, sha256 }, { status: 200, size: file.size, sha256: file.sha256 }, `${file.size} bytes`)
        const { path, version: version_, cipher: cipher_ } = decided[index]!
        t.strictSame({ path, version: version_, cipher: cipher_ }, { path: file.size === 0 ? 'node' : 'file', version, cipher })
      }
    })
  }
})

t.test('a connection is promoted by its first file reply, not earlier', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 50_000)
  const { app, origin, decisions } = await serveFolder(t, folder, {
    ktls: { minSize: 0 },
    setup: app => { app.get('/json', async () => ({ hello: 'world' })) }
  })
  const before = countPromotions()
  const downloads = await curl(folder, [`${origin}/json`, `${origin}/json`])
  t.equal(countPromotions(), before)
  t.strictSame(downloads.map(({ status }) => status), [200, 200])
  await curl(folder, [`${origin}/json`, `${origin}/${file.name}`, `${origin}/json`, `${origin}/none`])
  t.equal(countPromotions() - before, 1)
  t.strictSame((await decisions(6)).map(({ path, reason }) => [path, reason]), [
    ['node', 'data'],
    ['node', 'data'],
    ['node', 'data'],
    ['file', null],
    ['write', 'data'],
    ['write', 'data']
  ])
  const { connections, replies, bytes } = statsOf(app)
  t.match({ connections, replies }, { connections: { seen: 2, promoted: 1 }, replies: { file: 1, write: 2, node: 3 } })
  t.equal(bytes.file, file.size)
})
