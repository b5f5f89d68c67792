import t from 'tap'
import { splitDetail } from '../../lib/doctor/findings'
import { explainNoCipher, explainProbeFailure } from '../../lib/machine/probe-failure'
import type { Surroundings } from '../../lib/machine/probe-failure'

const ULP = 'setsockopt TCP_ULP'
const [EPERM, ENOENT, ENOPROTOOPT, ETIMEDOUT, ECONNREFUSED] = [-1, -2, -92, -110, -111]

const HOST: Surroundings = { kernel: '6.12.0', module: 'unknown', container: null }

t.test('the reason, why and what helps', async t => {
  for (const [what, call, error, surroundings, reason, cause, remedy] of [
    ['a module to be loaded', ULP, ENOENT, { module: 'on-disk' }, 'kernel-module-missing', /is there, but nothing has loaded it$/, /^sudo modprobe tls && /],
    ['the same in a container', ULP, ENOENT, { container: 'Docker' }, 'kernel-module-missing', /cannot be seen from here$/, /^on the host, whose kernel this container uses: sudo modprobe tls && /],
    ['a kernel without the rest of its modules', ULP, ENOENT, { module: 'not-on-disk' }, 'kernel-module-missing', /not among those of the running kernel$/, /^reboot if .*, otherwise install/],
    ['a kernel built without', ULP, ENOENT, { module: 'not-built' }, 'kernel-module-missing', /CONFIG_TLS is not set\)$/, /^use a kernel with CONFIG_TLS/],
    ['the same in a container', ULP, ENOENT, { module: 'not-built', container: 'Docker' }, 'kernel-module-missing', /CONFIG_TLS is not set\)$/, /^use a kernel with CONFIG_TLS/],
    ['a module that was loaded meanwhile', ULP, ENOENT, { module: 'loaded' }, 'kernel-module-missing', /nothing has loaded/, /modprobe/],
    ['a kernel without the option', ULP, ENOPROTOOPT, { kernel: '4.12.14' }, 'kernel-module-missing', /4\.13, and this is 4\.12\.14$/, /^use a newer kernel$/],
    ['a firewall that drops', 'connect', ETIMEDOUT, {}, 'kernel-refused', /^the probe's connect failed with ETIMEDOUT: .*a firewall drops/, /firewall accept .* lo$/],
    ['a firewall that rejects', 'connect', ECONNREFUSED, {}, 'kernel-refused', /^the probe's connect failed with ECONNREFUSED$/, /firewall accept .* lo$/],
    ['a refusal', ULP, EPERM, {}, 'kernel-refused', /^the probe's setsockopt TCP_ULP failed with EPERM$/, /SELinux/],
    ['a refusal in a container', 'socket', EPERM, { container: 'Docker' }, 'kernel-refused', /^the probe's socket failed with EPERM$/, /container's seccomp/]
  ] as const) {
    const explained = explainProbeFailure({ call, error }, { ...HOST, ...surroundings })
    t.equal(explained.reason, reason, what)
    t.match(splitDetail(explained.detail!), { cause, remedy }, what)
    t.equal(explained.detail!.split('; ').length, 2, `${what}: one cause, one remedy`)
  }
})

t.test('no cipher', async t => {
  const [ENOENT, EOPNOTSUPP] = [2, 95]
  for (const [what, errors, cause, remedy] of [
    ['no crypto modules', [ENOENT, ENOENT], /takes none of its ciphers$/, /crypto modules/],
    ['a kernel that takes all, and does nothing', [EOPNOTSUPP, EOPNOTSUPP], /gVisor/, /Linux kernel$/],
    ['a cipher without a sequence', [ENOENT, EOPNOTSUPP], /takes none of its ciphers$/, /crypto modules/]
  ] as const) t.match(splitDetail(explainNoCipher(errors)), { cause, remedy }, what)
})
