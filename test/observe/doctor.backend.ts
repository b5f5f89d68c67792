import { release } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { gatherFacts } from '../../lib/doctor/facts'
import { possibleFlaws } from '../../lib/doctor/kernel-versions'
import { detect } from '../../lib/machine/support'
import { runDoctor } from '../support/doctor'
import { makeFile, makeFolder } from '../support/files'

const folder = makeFolder(t)
const file = makeFile(folder, 3_000_000)

t.test('what this kernel can do', async t => {
  const { code, stdout, stderr } = await runDoctor([])
  t.comment(stdout)
  t.equal(code, 0)
  t.equal(stderr, '')
  t.notMatch(stdout, 'FAIL')
  t.match(stdout, 'ok    system      ')
  t.match(stdout, `Linux ${release()}`)
  t.match(stdout, /\nok {4}module tls +loaded\n/)
  t.match(stdout, /\nok {4}ciphers +AES-128-GCM, AES-256-GCM and ChaCha20-Poly1305 with TLS 1.2 and 1.3\n/)
  const { rekey } = detect().support
  t.match(stdout, rekey ? /\nok {4}key updates +the kernel can change/ : /\nwarn {2}key updates +the kernel cannot change .*\n +cause: .*\n +remedy: Linux 6.14/)
  t.strictSame(stdout.match(/(?<=\nwarn {2})CVE-\S+/g) ?? [], possibleFlaws(gatherFacts().upstream).map(({ id }) => id))
  t.match(stdout, '\nFile replies over HTTPS go by kernel TLS; ')
})

t.test('what the plugin gains', async t => {
  const { code, stdout, stderr } = await runDoctor(['bench', file.path, '--seconds', '0.4'])
  t.comment(stdout)
  t.equal(stderr, '')
  t.equal(code, 0)
  t.match(stdout, `${file.path} (3000000 bytes), over TLSv1.3 with TLS_AES_256_GCM_SHA384`)
  for (const name of ['Fastify', 'with fastify-ktls']) {
    const [megabytes, perGigabyte, perDownload, downloads] = new RegExp(`\n${name} +(\\S+) +(\\S+) +(\\S+) +(\\d+)\n`).exec(stdout)!.slice(1).map(Number)
    t.ok(megabytes! > 0, `${name}, throughput`)
    t.ok(perGigabyte! > 0, `${name}, processor time for a gigabyte`)
    t.ok(perDownload! > 0, `${name}, for a download`)
    t.ok(downloads! >= 2, `${name}, downloads`)
  }
  t.match(stdout, '\nAll its replies were encrypted by the kernel.\n')
})

t.test('a file that is written by Node', async t => {
  const { path } = makeFile(folder, 1000)
  const { stdout } = await runDoctor(['bench', path, '--seconds', '0.1'])
  t.match(stdout, /\nOf its \d+ replies 0 were encrypted by the kernel and 0 by sender threads; files below the option minSize/)
})

t.test('a file that cannot be measured with', async t => {
  for (const [path, message] of [[folder, 'not a regular file'], [join(folder, 'gone'), 'ENOENT'], [makeFile(folder, 0).path, 'not a regular file with content']] as const) {
    const { code, stdout, stderr } = await runDoctor(['bench', path])
    t.equal(code, 1)
    t.equal(stdout, '')
    t.match(stderr, message)
  }
})
