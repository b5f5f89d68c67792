import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { countPromotions } from '../support/kernel'
import { request } from '../support/request'
import { serveFolder } from '../support/static'

const run = promisify(execFile)

t.test('a GnuTLS client', async t => {
  const { stdout } = await run('wget', ['--version'])
  t.match(stdout, '+ssl/gnutls', 'this wget is built on GnuTLS, as Debian builds it')
  const folder = makeFolder(t)
  const file = makeFile(folder, 3_000_000)
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    const { origin, decisions } = await serveFolder(t, folder, { ktls: {} })
    const before = countPromotions()
    const output = join(folder, 'wget.out')
    const priority = `NORMAL:-VERS-ALL:+VERS-${version === 'TLSv1.2' ? 'TLS1.2' : 'TLS1.3'}`
    await run('wget', ['--quiet', '--no-check-certificate', `--ciphers=${priority}`, '--output-document', output, `${origin}/${file.name}`])
    t.equal(sha256(readFileSync(output)), file.sha256, version)
    t.equal(countPromotions() - before, 1)
    t.match(await decisions(1), [{ path: 'file', version }])
  }
})

t.test("Node's own client", async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 3_000_000)
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const { origin, decisions } = await serveFolder(t, folder, { ktls: {} })
    const before = countPromotions()
    const response = await request(`${origin}/${file.name}`, { minVersion: version, maxVersion: version })
    t.equal(response.sha256, file.sha256, version)
    t.equal(countPromotions() - before, 1)
    t.match(await decisions(1), [{ path: 'file', version }])
  }
})
