/* A kernel without one of the ciphers, as one that was built without its module. */
process.env.KTLS_DOUBLE_WITHOUT = '52' // TLS_CIPHER_AES_GCM_256, linux/tls.h
require('./install')
import t from 'tap'
import { makeFile, makeFolder } from '../support/files'
import { request } from '../support/request'
import { serveFolder } from '../support/static'

const SUITES = [
  { version: 'TLSv1.3', lacking: 'TLS_AES_256_GCM_SHA384', others: ['TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256'] },
  { version: 'TLSv1.2', lacking: 'ECDHE-ECDSA-AES256-GCM-SHA384', others: ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'] }
] as const

t.test('connections with it stay with OpenSSL, the others are promoted', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 300_000)
  const { app, origin, decisions } = await serveFolder(t, folder, { ktls: {} })
  const ciphers = { 'aes-128-gcm': true, 'aes-256-gcm': false, 'chacha20-poly1305': true }
  t.match(app.ktls.support, { available: true, versions: { 'TLSv1.2': ciphers, 'TLSv1.3': ciphers } })
  for (const { version, lacking, others } of SUITES) {
    for (const suite of [lacking, ...others]) {
      const { sha256 } = await request(`${origin}/${file.name}`, { minVersion: version, maxVersion: version, ciphers: suite })
      t.equal(sha256, file.sha256, suite)
      t.match(await decisions(1), [suite === lacking ? { path: 'node', reason: 'cipher-not-offloadable' } : { path: 'file', reason: null }])
    }
  }
})
