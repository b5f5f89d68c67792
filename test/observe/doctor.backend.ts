import { release } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { SMALLEST } from '../../lib/doctor/bench/file'
import { gatherFacts } from '../../lib/doctor/facts'
import { possibleFlaws } from '../../lib/doctor/kernel-versions'
import type { Report } from '../../lib/doctor/report'
import { isSince } from '../../lib/machine/kernel-version'
import { detect } from '../../lib/machine/support'
import { runBench, runDoctor } from '../support/doctor'
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
  if (detect().support.rekey) {
    t.match(stdout, /\nok {4}key updates +the kernel can change/)
  } else {
    t.match(stdout, /\nwarn {2}key updates +the kernel cannot change .*\n +cause: .*\n/)
    // The stand-in is that of a kernel which is new, and refuses.
    t.match(stdout, isSince(release(), 6, 14) ? /\n +remedy: sender threads can/ : /\n +remedy: Linux 6.14/)
  }
  t.strictSame(stdout.match(/(?<=\nwarn {2})CVE-\S+/g) ?? [], possibleFlaws(gatherFacts().upstream).map(({ id }) => id))
  t.match(stdout, '\nFile replies over HTTPS go by kernel TLS; ')
})

t.test('the same for programs', async t => {
  const { code, stdout, stderr } = await runDoctor(['--json'])
  t.equal(code, 0)
  t.equal(stderr, '')
  const { version, offload, facts, findings } = JSON.parse(stdout) as Report
  t.match({ version, offload }, { version: /^\d+\.\d+\.\d+/, offload: 'kernel' })
  t.match(facts, { kernel: release(), support: { available: true, rekey: detect().support.rekey } })
  t.ok(findings.some(({ code, text, remedy }) => code === 'module-ok' && text === 'module tls: loaded' && remedy === null))
  t.strictSame(findings.map(({ code }) => code).filter(code => code.startsWith('CVE-')), possibleFlaws(gatherFacts().upstream).map(({ id }) => id))
})

t.test('what the plugin gains', async t => {
  const { code, stdout, stderr } = await runBench([file.path])
  t.comment(stdout)
  t.equal(code, 0, stderr)
  t.match(stdout, `${file.path} (3000000 bytes), over TLSv1.3 with TLS_AES_256_GCM_SHA384`)
  for (const name of ['Fastify\'s default', 'kernel TLS', 'sender threads']) {
    t.match(stderr, `\n${name}: turn 2 of 2\n`)
    const [megabytes, perGigabyte, perDownload, downloads] = new RegExp(`\n${name} +(\\S+) +(\\S+) +(\\S+) +(\\d+)\n`).exec(stdout)!.slice(1).map(Number)
    t.ok(megabytes! > 0, `${name}, throughput`)
    t.ok(perGigabyte! > 0, `${name}, processor time for a gigabyte`)
    t.ok(perDownload! > 0, `${name}, for a download`)
    t.ok(downloads! >= 2, `${name}, downloads`)
  }
  t.match(stdout, /\nWith kernel TLS: .*\nAll its replies were encrypted by the kernel\.\nWith sender threads: .*\nAll its replies were encrypted by sender threads\.\n/)
})

t.test('a file that cannot be measured with', async t => {
  for (const [path, message] of [
    [folder, 'is not a regular file'], [join(folder, 'gone'), 'is not there'], [makeFile(folder, SMALLEST - 1).path, `has ${SMALLEST - 1} bytes, and `]
  ] as const) {
    const { code, stdout, stderr } = await runDoctor(['bench', path])
    t.equal(code, 2)
    t.equal(stdout, '')
    t.match(stderr, `${path} ${message}`)
    t.match(stderr, /^.* \(npx fastify-ktls --help says what is accepted\)\n$/)
  }
})
