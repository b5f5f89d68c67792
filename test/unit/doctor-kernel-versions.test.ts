import t from 'tap'
import { FLAWS, possibleFlaws, upstreamOf } from '../../lib/doctor/kernel-versions'
import { compareVersions } from '../../lib/machine/kernel-version'

t.test('the version of kernel.org behind a release', async t => {
  for (const [release, build, signature, upstream] of [
    ['6.1.0-56-amd64', '#1 SMP PREEMPT_DYNAMIC Debian 6.1.185-1 (2026-10-01)', null, '6.1.185'],
    ['6.12.43+deb13-amd64', '#1 SMP PREEMPT_DYNAMIC Debian 6.12.43-1 (2025-08-27)', null, '6.12.43'],
    ['6.8.0-45-generic', '#45-Ubuntu SMP PREEMPT_DYNAMIC Fri Aug 30 12:02:04 UTC 2024', 'Ubuntu 6.8.0-45.45-generic 6.8.12\n', '6.8.12'],
    ['5.14.0-503.el9.x86_64', '#1 SMP PREEMPT_DYNAMIC Thu Nov 14', null, '5.14.0-503.el9.x86_64']
  ] as const) t.equal(upstreamOf({ release, build, signature }), upstream, release)
})

t.test('which flaws a version may have', async t => {
  const [SPLICE, QUEUE, CLOSE, ASYNC, FULL] = ['CVE-2024-0646', 'CVE-2025-38616', 'CVE-2026-23240', 'CVE-2026-31533', 'CVE-2026-74610']
  const CHAINS = ['CVE-2026-64046', 'CVE-2026-64047']
  for (const [release, ids] of [
    ['4.19.300', []],
    ['5.2.21', [SPLICE]],
    ['5.4.13', [SPLICE, CLOSE]],
    ['5.4.14', [SPLICE, CLOSE, ...CHAINS]],
    ['5.4.302', [CLOSE, ...CHAINS]],
    ['5.10.208', [CLOSE, ...CHAINS]],
    ['5.10.257', [CLOSE, ...CHAINS]],
    ['5.10.258', [CLOSE]],
    ['5.14.0-503.el9', [SPLICE, CLOSE, ...CHAINS]],
    ['5.15.147', [CLOSE, ...CHAINS]],
    ['5.15.159', [CLOSE, ...CHAINS]],
    ['5.15.160', [CLOSE, ASYNC, ...CHAINS]],
    ['5.15.203', [CLOSE, ...CHAINS]],
    ['5.15.209', [CLOSE]],
    ['6.0.19', [SPLICE, QUEUE, CLOSE, ...CHAINS]],
    ['6.1.68', [SPLICE, QUEUE, CLOSE, ...CHAINS]],
    ['6.1.69', [QUEUE, CLOSE, ...CHAINS]],
    ['6.1.84', [QUEUE, CLOSE, ASYNC, ...CHAINS]],
    ['6.1.168', [QUEUE, CLOSE, ASYNC, ...CHAINS]],
    ['6.1.169', [QUEUE, CLOSE, ...CHAINS]],
    ['6.1.184', [QUEUE, CLOSE]],
    ['6.1.185', [CLOSE]],
    ['6.4.16', [SPLICE, QUEUE, CLOSE, ...CHAINS]],
    ['6.5.13', [SPLICE, QUEUE, CLOSE, ...CHAINS, FULL]],
    ['6.6.6', [SPLICE, QUEUE, CLOSE, ...CHAINS, FULL]],
    ['6.6.17', [QUEUE, CLOSE, ...CHAINS, FULL]],
    ['6.6.102', [QUEUE, CLOSE, ASYNC, ...CHAINS, FULL]],
    ['6.6.135', [CLOSE, ...CHAINS, FULL]],
    ['6.6.142', [CLOSE, FULL]],
    ['6.6.152', [CLOSE]],
    ['6.7.0', [QUEUE, CLOSE, ...CHAINS, FULL]],
    ['6.7.6', [QUEUE, CLOSE, ASYNC, ...CHAINS, FULL]],
    // The last releases of branches that nobody fixes any more.
    ['6.8.12', [QUEUE, CLOSE, ASYNC, ...CHAINS, FULL]],
    ['6.11.11', [QUEUE, CLOSE, ASYNC, ...CHAINS, FULL]],
    ['6.17.13', [CLOSE, ASYNC, ...CHAINS, FULL]],
    ['6.12.42', [QUEUE, CLOSE, ASYNC, ...CHAINS, FULL]],
    ['6.12.43+deb13-amd64', [CLOSE, ASYNC, ...CHAINS, FULL]],
    ['6.12.75', [ASYNC, ...CHAINS, FULL]],
    ['6.12.82', [...CHAINS, FULL]],
    ['6.12.92', [FULL]],
    ['6.12.104', []],
    ['6.15.11', [CLOSE, ASYNC, ...CHAINS, FULL]],
    ['6.16.1', [QUEUE, CLOSE, ASYNC, ...CHAINS, FULL]],
    ['6.16.2', [CLOSE, ASYNC, ...CHAINS, FULL]],
    ['6.18.15', [CLOSE, ASYNC, ...CHAINS, FULL]],
    ['6.18.16', [ASYNC, ...CHAINS, FULL]],
    ['6.18.23', [...CHAINS, FULL]],
    ['6.18.34', [FULL]],
    ['6.18.45', []],
    ['6.19.6', [ASYNC, ...CHAINS, FULL]],
    ['6.19.13', [...CHAINS, FULL]],
    ['7.0.0', [...CHAINS, FULL]],
    ['7.0.11', [FULL]],
    ['7.1.0', [FULL]],
    ['7.1.9', []],
    ['7.2.0', []],
    ['7.3.1', []],
    ['unknown', []]
  ] as const) t.strictSame(possibleFlaws(release).map(({ id }) => id), ids, release)
})

t.test('versions are in order, the last being the first of its branch, and each fix has a flaw before it', async t => {
  for (const { id, since, fixed } of FLAWS) {
    for (const versions of [since, fixed]) {
      t.strictSame([...versions].sort(compareVersions), versions, id)
      t.equal(versions.at(-1)![2], 0, id)
      t.equal(new Set(versions.map(([major, minor]) => `${major}.${minor}`)).size, versions.length, id)
    }
    for (const [major, minor, patch] of fixed.slice(0, -1)) {
      t.ok(possibleFlaws(`${major}.${minor}.${patch - 1}`).some(flaw => flaw.id === id), `${id} before ${major}.${minor}.${patch}`)
      t.notOk(possibleFlaws(`${major}.${minor}.${patch}`).some(flaw => flaw.id === id), `${id} at ${major}.${minor}.${patch}`)
    }
  }
})
