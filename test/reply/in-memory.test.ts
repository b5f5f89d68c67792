/*
 * A file that lies in memory: tmpfs does not say what could be read without waiting, and
 * nothing has to be waited for. So no thread that waits for disks is begun.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { BACKEND } from '../support/backend'
import { makeFile } from '../support/files'
import { request } from '../support/request'
import { serveFolder } from '../support/static'
import { threadsNamed } from '../support/threads'

if (BACKEND !== 'threads') {
  t.spawn(process.execPath, [__filename], { env: { ...process.env, KTLS_TEST_BACKEND: 'threads' } }, 'by the threads')
} else {
  t.test('files of tmpfs', async t => {
    const folder = mkdtempSync(join('/dev/shm', 'fastify-ktls-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const { origin, decisions } = await serveFolder(t, folder, { ktls: {} })
    for (const size of [5000, 70_001, 5_000_000]) {
      const file = makeFile(folder, size)
      t.equal((await request(`${origin}/${file.name}`)).sha256, file.sha256, `${size} bytes`)
      t.match(await decisions(1), [size < 65_536 ? { path: 'node', reason: 'too-small' } : { path: 'file', backend: 'threads' }])
    }
    t.equal(threadsNamed('ktls-sender').length > 0, true)
    t.strictSame(threadsNamed('ktls-reader'), [])
  })
}
