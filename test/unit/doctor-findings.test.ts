import t from 'tap'
import type { Facts } from '../../lib/doctor/facts'
import { examine, splitDetail } from '../../lib/doctor/findings'
import { formatReport, reportOf } from '../../lib/doctor/report'
import type { Support } from '../../types/index'

const all = { 'aes-128-gcm': true, 'aes-256-gcm': true, 'chacha20-poly1305': true }

const ABLE: Support = {
  backends: ['kernel', 'threads'],
  available: true,
  reason: null,
  detail: null,
  kernel: '7.3.1',
  versions: { 'TLSv1.2': all, 'TLSv1.3': all },
  rekey: true
}

const MISSING: Partial<Support> = { backends: ['threads'], available: false, reason: 'kernel-module-missing', detail: 'not loaded; load it', rekey: false }
const REFUSED: Partial<Support> = { ...MISSING, reason: 'kernel-refused', detail: 'EPERM; look' }
const NO_ADDON: Partial<Support> = { ...MISSING, backends: [], reason: 'addon-missing', detail: 'could not be loaded (cannot find it; gone); build it' }

const GOOD: Facts = {
  platform: 'linux',
  arch: 'x64',
  kernel: '7.3.1',
  upstream: '7.3.1',
  distribution: 'Debian',
  container: null,
  node: '24.9.0',
  openssl: '3.5.2',
  module: 'loaded',
  support: ABLE,
  counters: { open: { software: 1, device: 0 }, promoted: { software: 12, device: 3 }, keys: { updated: 0, failed: 0 } }
}

function facts (facts: Partial<Facts>, support: Partial<Support> = {}): Facts {
  const kernel = facts.kernel ?? GOOD.kernel
  return { ...GOOD, upstream: kernel, ...facts, support: { ...ABLE, kernel, ...support } }
}

t.test('a machine that can do all', async t => {
  const findings = examine(GOOD)
  t.ok(findings.every(({ level, cause, remedy }) => level === 'ok' && cause === undefined && remedy === undefined))
  t.strictSame(findings.map(({ subject }) => subject), ['system', 'runtime', 'addon', 'module tls', 'ciphers', 'key updates', 'since boot'])
  t.equal(formatReport(findings, ABLE), `ok    system       Linux 7.3.1, Debian, x64
ok    runtime      Node 24.9.0, OpenSSL 3.5.2
ok    addon        loaded
ok    module tls   loaded
ok    ciphers      AES-128-GCM, AES-256-GCM and ChaCha20-Poly1305 with TLS 1.2 and 1.3
ok    key updates  the kernel can change the transmit key
ok    since boot   12 sockets encrypted by the kernel, 3 by a network card (all programs in this network namespace, probes included)

File replies over HTTPS go by kernel TLS; over plain HTTP by sendfile(2), on any kernel.
What it gains here: npx fastify-ktls bench [FILE]`)
})

t.test('cause and remedy of what a machine cannot do', async t => {
  const cases: ReadonlyArray<[string, Facts, string, { level: string, state?: string, cause?: RegExp, remedy?: RegExp }]> = [
    ['another system', facts({ platform: 'darwin' }, { available: false, reason: 'not-linux' }), 'system', { level: 'fail', cause: /feature of Linux/, remedy: /Linux/ }],
    ['an old Node', facts({ node: '18.20.1' }), 'runtime', { level: 'fail', cause: /Node 20/, remedy: /^use Node 20 or later$/ }],
    ['no addon', facts({ module: 'unknown' }, NO_ADDON), 'addon', { level: 'fail', cause: /\(cannot find it; gone\)$/, remedy: /^build it$/ }],
    ['no addon: the module', facts({ module: 'unknown' }, NO_ADDON), 'module tls', { level: 'unknown' }],
    ['no addon, the module is loaded', facts({}, NO_ADDON), 'module tls', { level: 'ok' }],
    ['no addon, the module is not loaded', facts({ module: 'on-disk' }, NO_ADDON), 'module tls', { level: 'fail', remedy: /^sudo modprobe tls/ }],
    ['no OpenSSL', facts({ openssl: null }, { ...NO_ADDON, reason: 'openssl-missing', detail: 'no function; use Node.js' }), 'addon', { level: 'fail', cause: /^no function$/, remedy: /^use Node.js$/ }],
    ['the module is not loaded', facts({ module: 'on-disk' }, MISSING), 'module tls', { level: 'warn', state: 'not loaded', cause: /is there, but nothing has loaded it/, remedy: /^sudo modprobe tls && echo tls \| sudo tee \/etc\/modules-load\.d\/tls\.conf$/ }],
    ['nothing more is known of the module', facts({ module: 'unknown' }, MISSING), 'module tls', { level: 'warn', state: 'not loaded', cause: /cannot be seen/, remedy: /^sudo modprobe tls/ }],
    ['in a container', facts({ module: 'unknown', container: 'Docker' }, MISSING), 'module tls', { level: 'warn', remedy: /^on the host.*sudo modprobe tls/ }],
    ['the module is not there', facts({ module: 'not-on-disk' }, MISSING), 'module tls', { level: 'warn', state: 'missing', cause: /not among/, remedy: /^reboot if the kernel was upgraded since the last boot, otherwise install/ }],
    ['the kernel is built without', facts({ module: 'not-built', container: 'Docker' }, MISSING), 'module tls', { level: 'warn', state: 'missing', cause: /CONFIG_TLS is not set/, remedy: /kernel with CONFIG_TLS=m/ }],
    ['a kernel from before kernel TLS', facts({ module: 'unknown', kernel: '4.4.0' }, MISSING), 'module tls', { level: 'warn', cause: /4\.13, and this is 4\.4\.0$/, remedy: /newer kernel/ }],
    ['a refusal', facts({}, REFUSED), 'probe', { level: 'warn', state: 'refused', cause: /^EPERM$/, remedy: /^look$/ }],
    ['a refusal, and the module cannot be seen', facts({ module: 'unknown' }, REFUSED), 'module tls', { level: 'unknown' }],
    ['a cipher is missing', facts({ kernel: '5.10.250' }, { versions: { 'TLSv1.2': all, 'TLSv1.3': { ...all, 'chacha20-poly1305': false } } }), 'ciphers', { level: 'warn', cause: /5\.11/, remedy: /5\.11 .*go by sender threads$/ }],
    ['no probe', facts({ module: 'on-disk' }, MISSING), 'ciphers', { level: 'unknown' }],
    ['a kernel too old to rekey', facts({ kernel: '6.13.12' }, { rekey: false }), 'key updates', { level: 'warn', cause: /6\.13\.12 is older than 6\.14/, remedy: /6\.14/ }],
    ['the same without a probe', facts({ kernel: '6.13.12', module: 'on-disk' }, MISSING), 'key updates', { level: 'warn', cause: /older than 6\.14/ }],
    ['a new kernel that cannot rekey', facts({}, { rekey: false }), 'key updates', { level: 'warn', cause: /refused/, remedy: /^sender threads can/ }],
    ['a new kernel without a probe', facts({ module: 'on-disk' }, MISSING), 'key updates', { level: 'unknown' }],
    ['a flaw, by the version that the kernel is made from', facts({ kernel: '6.12.0-1-amd64', upstream: '6.12.50' }), 'CVE-2026-23240', { level: 'warn' }],
    ['a flaw', facts({ kernel: '6.12.42' }), 'CVE-2025-38616', { level: 'warn', cause: /fixed in Linux 6\.1\.185, 6\.6\.103, 6\.12\.43/, remedy: /distributions backport/ }]
  ]
  for (const [what, given, subject, { level, state, cause, remedy }] of cases) {
    const finding = examine(given).find(finding => finding.subject === subject)
    t.equal(finding?.level, level, what)
    if (state !== undefined) t.equal(finding?.state, state, `${what}: state`)
    if (cause !== undefined) t.match(finding?.cause, cause, `${what}: cause`)
    if (remedy !== undefined) t.match(finding?.remedy, remedy, `${what}: remedy`)
  }
})

t.test('the report for programs', async t => {
  const { version } = require('fastify-ktls/package.json') as { version: string }
  const good = reportOf(GOOD, examine(GOOD))
  t.match(good, { version, offload: 'kernel', facts: GOOD })
  t.strictSame(good.findings.map(({ code }) => code), ['system-ok', 'runtime-ok', 'addon-ok', 'module-ok', 'ciphers-ok', 'rekey-ok', 'since-boot'])
  t.ok(good.findings.every(({ level, remedy }) => level === 'ok' && remedy === null))
  t.same(JSON.parse(JSON.stringify(good)), good, 'all of it is in the document')

  const bad = facts({ platform: 'linux', node: '18.0.0', module: 'not-on-disk', kernel: '6.12.42' }, MISSING)
  const { offload, findings } = reportOf(bad, examine(bad))
  t.equal(offload, 'threads')
  t.match(findings.map(({ code }) => code), ['system-ok', 'runtime-too-old', 'addon-ok', 'module-missing', 'ciphers-unknown', 'rekey-missing', 'CVE-2025-38616'])
  t.strictSame(findings[1], { code: 'runtime-too-old', level: 'fail', text: 'runtime: Node 18.0.0, OpenSSL 3.5.2; fastify-ktls is made for Node 20 and later', remedy: 'use Node 20 or later' })

  const codesOf = (changes: Partial<Facts>, support: Partial<Support>) => examine(facts(changes, support)).map(({ code }) => code)
  t.ok(codesOf({ platform: 'darwin' }, { available: false, reason: 'not-linux' }).includes('system-not-linux'))
  t.ok(codesOf({ module: 'on-disk' }, MISSING).includes('module-not-loaded'))
  t.ok(codesOf({ module: 'unknown' }, REFUSED).includes('module-unknown'))
  t.ok(codesOf({}, REFUSED).includes('kernel-refused'))
  t.ok(codesOf({}, NO_ADDON).includes('addon-missing'))
  t.ok(codesOf({}, { ...NO_ADDON, reason: 'openssl-missing' }).includes('openssl-missing'))
  t.ok(codesOf({}, { versions: { 'TLSv1.2': all, 'TLSv1.3': { ...all, 'aes-128-gcm': false } } }).includes('ciphers-missing'))
  t.ok(codesOf({ module: 'on-disk' }, MISSING).includes('rekey-unknown'))
  t.equal(reportOf(facts({}, NO_ADDON), []).offload, null)
})

t.test('a release that hides its patch', async t => {
  const findings = examine(facts({ kernel: '6.1.0-56-amd64', upstream: '6.1.200' }))
  t.match(findings[0]!.state, /^Linux 6\.1\.0-56-amd64 \(6\.1\.200\), Debian/)
  t.notOk(findings.some(({ subject }) => subject === 'CVE-2025-38616'))
})

t.test('on another system nothing is said of Linux', async t => {
  t.strictSame(examine(facts({ platform: 'win32' }, { available: false, reason: 'not-linux' })).map(({ subject }) => subject), ['system', 'runtime'])
})

t.test('the conclusion names the reason, and who encrypts in place of the kernel', async t => {
  const conclusionOf = (support: Partial<Support>) => formatReport(examine(GOOD), { ...ABLE, ...support })
  t.match(conclusionOf(MISSING), /\nFile replies over HTTPS go by sender threads, as kernel TLS is not available \(kernel-module-missing\); over plain HTTP by sendfile/)
  t.match(conclusionOf(NO_ADDON), /\nNothing can be offloaded \(addon-missing\)\. Nothing breaks/)
})

t.test('what a detail says and advises', async t => {
  t.strictSame(splitDetail('cause'), { cause: 'cause' })
  t.strictSame(splitDetail('one; other; remedy'), { cause: 'one; other', remedy: 'remedy' })
})
