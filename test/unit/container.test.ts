import t from 'tap'
import { containerOf } from '../../lib/machine/container'
import type { ContainerSigns } from '../../lib/machine/container'

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
