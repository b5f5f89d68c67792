import t from 'tap'
import { compareVersions, formatVersion, isSince, versionOf } from '../../lib/machine/kernel-version'

t.test('the version in a release', async t => {
  for (const [release, version] of [
    ['6.12.43+deb13-amd64', [6, 12, 43]],
    ['6.8.0-45-generic', [6, 8, 0]],
    ['5.14.0-503.el9.x86_64', [5, 14, 0]],
    ['7.0-rc2', [7, 0, 0]],
    ['6.6.87.2-microsoft-standard-WSL2', [6, 6, 87]],
    ['', undefined],
    ['unknown', undefined]
  ] as const) t.strictSame(versionOf(release), version, release)
})

t.test('the order of versions', async t => {
  for (const [one, other, sign] of [
    [[6, 9, 0], [6, 14, 0], -1],
    [[6, 14, 0], [6, 14, 0], 0],
    [[7, 0, 0], [6, 19, 6], 1],
    [[6, 1, 69], [6, 1, 185], -1]
  ] as const) t.equal(Math.sign(compareVersions(one, other)), sign, `${formatVersion(one)} and ${formatVersion(other)}`)
  t.ok(isSince('6.14.0-1-amd64', 6, 14))
  t.ok(isSince('10.0.1', 6, 14))
  t.notOk(isSince('6.13.12', 6, 14))
  t.notOk(isSince('unknown', 0, 0))
})
