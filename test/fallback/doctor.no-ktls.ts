/*
 * The doctor where the kernel has no kernel TLS: on a host without it and in a
 * guest with the module withheld. Elsewhere it fails.
 */
import { existsSync } from 'node:fs'
import { release } from 'node:os'
import t from 'tap'
import { splitDetail } from '../../lib/doctor/findings'
import type { Report } from '../../lib/doctor/report'
import { detect } from '../../lib/machine/support'
import { runBench, runDoctor } from '../support/doctor'
import { makeFile, makeFolder } from '../support/files'
import { kernelHasTls } from '../support/ulp'

t.test('what is missing, why, and what helps', async t => {
  const { code, stdout, stderr } = await runDoctor([])
  if (kernelHasTls()) t.bailout('this kernel has kernel TLS, and these tests are for one without it')
  t.comment(stdout)
  t.equal(code, 0, 'file replies can be offloaded')
  t.equal(stderr, '')
  // The columns are as wide as the name of a flaw where the kernel has one.
  const lines = stdout.split('\n').map(line => line.replace(/ {2,}/g, '  '))
  for (const line of [`ok  runtime  Node ${process.versions.node}, OpenSSL ${process.versions.openssl}`, 'ok  addon  loaded']) t.ok(lines.includes(line), line)
  t.match(lines[0], `ok  system  Linux ${release()}`)
  t.match(stdout, /\nwarn {2}module tls {3,}(missing|not loaded)\n +cause: .+\n +remedy: .+\n/)
  // A guest that withholds the module has the rest of the kernel's modules; where there are none, the kernel has none.
  const cause = existsSync(`/lib/modules/${release()}/modules.dep`) ? /module tls is not among those of the running kernel\n/ : /built without kernel TLS|nothing has loaded the kernel module/
  t.match(stdout, cause)
  const { cause: said, remedy } = splitDetail(detect().support.detail!)
  t.ok(lines.includes(`  cause: ${said!}`) && lines.includes(`  remedy: ${remedy!}`), 'what the plugin itself says')
  t.ok(lines.includes('?  ciphers  not known while kernel TLS is unavailable'))
  t.notMatch(stdout, 'FAIL')
  t.match(stdout, /\nFile replies over HTTPS go by sender threads, as kernel TLS is not available \(kernel-module-missing\); .*\nWhat .*\n$/)
})

t.test('the same for programs', async t => {
  const { code, stdout, stderr } = await runDoctor(['--json'])
  t.equal(code, 0)
  t.equal(stderr, '')
  const { offload, facts, findings } = JSON.parse(stdout) as Report
  t.equal(offload, 'threads')
  t.match(facts, { kernel: release(), support: { available: false, reason: 'kernel-module-missing' } })
  const { cause, remedy } = splitDetail(detect().support.detail!)
  const finding = findings.find(({ code }) => code === 'module-missing' || code === 'module-not-loaded')
  t.match(finding, { level: 'warn', remedy })
  t.ok(finding!.text.endsWith(`; ${cause}`), finding!.text)
})

t.test('what the threads gain, and why the kernel is not measured', async t => {
  const file = makeFile(makeFolder(t), 3_000_000)
  const { code, stdout, stderr } = await runBench([file.path])
  t.comment(stdout)
  t.equal(code, 0, stderr)
  t.match(stdout, `${file.path} (3000000 bytes), over TLSv1.3 with TLS_AES_256_GCM_SHA384`)
  const { cause, remedy } = splitDetail(detect().support.detail!)
  t.ok(stdout.includes(`\nkernel TLS            not available: ${cause}\n`))
  t.ok(stdout.includes(`\nTo have kernel TLS: ${remedy!}\n`))
  t.match(stdout, /\nWith sender threads: .*\nAll its replies were encrypted by sender threads\.\n/)
})
