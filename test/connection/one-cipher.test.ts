/* A kernel without one of the ciphers, as one that was built without its module. */
process.env.KTLS_DOUBLE_WITHOUT = '52' // TLS_CIPHER_AES_GCM_256, linux/tls.h
require('../double/install')
import t from 'tap'
import type { Backend, ReplyDecision } from '../../types/index'
import { makeFile, makeFolder } from '../support/files'
import { request } from '../support/request'
import { serveFolder } from '../support/static'

const SUITES = [
  { version: 'TLSv1.3', lacking: 'TLS_AES_256_GCM_SHA384', others: ['TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256'] },
  { version: 'TLSv1.2', lacking: 'ECDHE-ECDSA-AES256-GCM-SHA384', others: ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'] }
] as const

for (const [name, backends, instead] of [
  ['stay with OpenSSL', ['kernel'], { path: 'node', backend: null, reason: 'cipher-not-offloadable' }],
  ['go by the threads', ['kernel', 'threads'], { path: 'file', backend: 'threads', reason: null }]
] as const) {
  t.test(`connections with it ${name}, the others are the kernel's`, t => serve(t, backends, instead))
}

/** `instead`: the decision on what the kernel lacks. */
async function serve (t: Tap.Test, backends: readonly Backend[], instead: Partial<ReplyDecision>): Promise<void> {
  const folder = makeFolder(t)
  const file = makeFile(folder, 300_000)
  const { app, origin, decisions, warnings } = await serveFolder(t, folder, { ktls: { backends } })
  const ciphers = { 'aes-128-gcm': true, 'aes-256-gcm': false, 'chacha20-poly1305': true }
  t.match(app.ktls.support, { available: true, versions: { 'TLSv1.2': ciphers, 'TLSv1.3': ciphers } })
  for (const { version, lacking, others } of SUITES) {
    for (const suite of [lacking, ...others]) {
      const { sha256 } = await request(`${origin}/${file.name}`, { minVersion: version, maxVersion: version, ciphers: suite })
      t.equal(sha256, file.sha256, suite)
      t.match(await decisions(1), [suite === lacking ? instead : { path: 'file', backend: 'kernel', reason: null }])
    }
  }
  t.strictSame(warnings, [])
}
