import t from 'tap'
import { containerOf, distributionOf, moduleState } from '../../lib/doctor/facts'
import type { ContainerSigns, ModuleSigns } from '../../lib/doctor/facts'

t.test('the distribution', async t => {
  for (const [text, name] of [
    [null, null],
    ['ID=arch\n', null],
    ['NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n', 'Debian GNU/Linux 13 (trixie)'],
    ['PRETTY_NAME=Alpine\nID=alpine\n', 'Alpine']
  ] as const) t.equal(distributionOf(text), name)
})

t.test('the container', async t => {
  const none: ContainerSigns = { files: [], env: {}, cgroup: '0::/init.scope\n' }
  const cases: ReadonlyArray<[Partial<ContainerSigns>, string | null]> = [
    [{}, null],
    [{ env: { container: '' } }, null],
    [{ files: ['/.dockerenv'] }, 'Docker'],
    [{ cgroup: '3:cpu:/docker/0123\n' }, 'Docker'],
    [{ files: ['/run/.containerenv'] }, 'Podman'],
    [{ env: { container: 'podman' } }, 'Podman'],
    [{ files: ['/.dockerenv'], env: { KUBERNETES_SERVICE_HOST: '10.0.0.1' } }, 'Kubernetes'],
    [{ cgroup: '0::/kubepods/besteffort/pod1\n' }, 'Kubernetes'],
    [{ env: { container: 'lxc' } }, 'lxc'],
    [{ env: { container: 'systemd-nspawn' } }, 'systemd-nspawn'],
    [{ cgroup: '0::/system.slice/containerd.service\n' }, 'containerd']
  ]
  for (const [signs, expected] of cases) t.equal(containerOf({ ...none, ...signs }), expected, JSON.stringify(signs))
})

t.test('the module', async t => {
  const none: ModuleSigns = { ulps: 'mptcp\n', config: null, modules: null, isThere: () => true }
  const modules = 'kernel/net/tls/tls.ko.xz: kernel/net/core.ko.xz\nkernel/net/other.ko:\n'
  const cases: ReadonlyArray<[string, Partial<ModuleSigns>, string]> = [
    ['nothing is known', { ulps: null }, 'unknown'],
    ['not loaded, and nothing else is known', {}, 'unknown'],
    ['loaded', { ulps: 'espintcp mptcp tls\n' }, 'loaded'],
    ['loaded, whatever the configuration says', { ulps: 'tls\n', config: '# CONFIG_TLS is not set\n' }, 'loaded'],
    ['not built', { config: '# CONFIG_TLS is not set\n', modules }, 'not-built'],
    ['another option of a similar name', { config: 'CONFIG_TLS_DEVICE=y\n' }, 'not-built'],
    ['built as a module', { config: 'CONFIG_TLS=m\n' }, 'unknown'],
    ['on disk', { config: 'CONFIG_TLS=m\n', modules }, 'on-disk'],
    ['listed, and its file is gone', { modules, isThere: () => false }, 'not-on-disk'],
    ['not listed', { modules: 'kernel/net/mytls/tls.ko.bak\nkernel/net/other.ko: kernel/net/tls/tls.ko\n' }, 'not-on-disk']
  ]
  for (const [what, signs, expected] of cases) t.equal(moduleState({ ...none, ...signs }), expected, what)
})
