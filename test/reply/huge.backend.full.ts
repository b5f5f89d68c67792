import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, createReadStream, ftruncateSync, openSync, writeSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../support/files'
import { countPromotions } from '../support/kernel'
import { serveFolder } from '../support/static'

const SIZE = 2 ** 32 + 12345

t.test('a whole body of over 4 GiB', async t => {
  const folder = makeFolder(t)
  const path = join(folder, 'huge.bin')
  const fd = openSync(path, 'w')
  ftruncateSync(fd, SIZE)
  for (const position of [0, 2 ** 31 - 5, 2 ** 32 - 5, SIZE - 10]) writeSync(fd, Buffer.from('a mark here'.slice(0, 10)), 0, 10, position)
  closeSync(fd)
  const expected = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), expected)
  const sha256 = expected.digest('hex')
  for (const version of ['1.2', '1.3']) {
    const { origin, decisions } = await serveFolder(t, folder, { ktls: {} })
    const before = countPromotions()
    const curl = spawn('curl', ['--silent', '--insecure', `--tlsv${version}`, '--tls-max', version, `${origin}/huge.bin`], { stdio: ['ignore', 'pipe', 'inherit'] })
    const got = createHash('sha256')
    await pipeline(curl.stdout, got)
    t.equal(got.digest('hex'), sha256, `TLS ${version}`)
    t.equal(countPromotions() - before, 1)
    t.match(await decisions(1), [{ path: 'file' }])
  }
})
