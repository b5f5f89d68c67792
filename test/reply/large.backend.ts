import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { curl } from '../support/curl'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { countPromotions } from '../support/kernel'
import { request } from '../support/request'
import { serveFolder } from '../support/static'

const GIB = 2 ** 30
const VERSIONS = ['1.2', '1.3'] as const

t.test('a body of 100 MiB arrives whole', async t => {
  const folder = makeFolder(t)
  const file = makeFile(folder, 100 << 20)
  for (const version of VERSIONS) {
    const { origin, decisions } = await serveFolder(t, folder, { ktls: {} })
    const before = countPromotions()
    const [download] = await curl(folder, [`${origin}/${file.name}`], [`--tlsv${version}`, '--tls-max', version])
    t.equal(download!.sha256, file.sha256, `TLS ${version}`)
    t.equal(countPromotions() - before, 1)
    t.match(await decisions(1), [{ path: 'file' }])
  }
})

t.test('ranges across the 2 and 4 GiB lines of a sparse file', async t => {
  const folder = makeFolder(t)
  const marks = [2 * GIB, 4 * GIB].map(line => ({ line, bytes: Buffer.from(`<< the line at ${line} >>`) }))
  const fd = openSync(join(folder, 'sparse.bin'), 'w')
  ftruncateSync(fd, 4 * GIB + (8 << 20))
  for (const { line, bytes } of marks) writeSync(fd, bytes, 0, bytes.length, line - 8)
  closeSync(fd)

  for (const version of VERSIONS) {
    const { origin, decisions } = await serveFolder(t, folder, { ktls: {} })
    for (const { line, bytes } of marks) {
      const first = line - 100_000
      const length = 300_000
      const expected = Buffer.alloc(length)
      bytes.copy(expected, 100_000 - 8)
      const response = await request(`${origin}/sparse.bin`, {
        headers: { range: `bytes=${first}-${first + length - 1}` },
        minVersion: `TLSv${version}`,
        maxVersion: `TLSv${version}`
      })
      t.equal(response.status, 206)
      t.equal(response.headers['content-range'], `bytes ${first}-${first + length - 1}/${4 * GIB + (8 << 20)}`)
      t.equal(response.sha256, sha256(expected), `TLS ${version}, around ${line}`)
    }
    t.ok((await decisions(marks.length)).every(({ path }) => path === 'file'))
  }
})
