/*
 * A cipher that OpenSSL does not have, as a FIPS provider lacks ChaCha20-Poly1305: its
 * connections stay with OpenSSL, which has agreed to it, and the others go by the threads.
 * Ciphers are fetched once in a process, so each is refused in one of its own.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { converse } from '../support/conversation'
import { arm, fired } from '../faults/injector'
import { statsOf } from '../support/backend'
import { makeFile, makeFolder } from '../support/files'
import { SUITES } from '../support/record-client'
import { serveFolder } from '../support/static'

const NAMES = Object.keys(SUITES)
const refused = process.env.KTLS_TEST_REFUSED_CIPHER

if (refused === undefined) {
  for (const name of NAMES) {
    t.spawn(process.execPath, [__filename], { env: { ...process.env, KTLS_TEST_ADDON: 'fastify_ktls_faults', KTLS_TEST_BACKEND: 'threads', KTLS_TEST_REFUSED_CIPHER: name } }, name)
  }
} else {
  t.test(`${refused} is refused`, async t => {
    const folder = makeFolder(t)
    const file = makeFile(folder, 300_001)
    const { app, port, decisions } = await serveFolder(t, folder, { ktls: {} })
    arm({ point: 'EVP_CIPHER_fetch', effect: 'refused', call: NAMES.indexOf(refused) + 1 })
    // Twice, as what was fetched is kept.
    for (const name of [...NAMES, ...NAMES]) {
      const { bodies, clean, ok } = await converse(port, [`/${file.name}`, `/${file.name}`], { ciphers: name, minVersion: 'TLSv1.3' })
      t.ok(ok && clean, name)
      t.strictSame(bodies.map(body => body.equals(readFileSync(file.path))), [true, true], 'both bodies are right')
      const expected = name === refused ? { path: 'node', reason: 'cipher-refused', backend: null } : { path: 'file', reason: null, backend: 'threads' }
      t.match(await decisions(2), [expected, expected])
    }
    t.equal(fired().EVP_CIPHER_fetch, 1)
    t.equal(statsOf(app).connections.promoted, 4)
  })
}
