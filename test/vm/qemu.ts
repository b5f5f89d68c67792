import type { GuestOptions } from './guest'

export interface BootFiles { readonly image: string, readonly initrd: string, readonly firmware: readonly string[] }

/** File descriptors that QEMU inherits, one for each port of virtio-serial: stdout, stderr and control. */
export const PORTS = [3, 4, 5] as const

/** KVM is never used: a machine's /dev/kvm may be there and hang its guests. */
export function qemuArguments (options: GuestOptions, files: BootFiles): string[] {
  const { icount = false, forward = [], share } = options
  return [
    '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-M', 'q35',
    ...files.firmware.flatMap(folder => ['-L', folder]),
    ...processor(icount, options.cpus ?? 2),
    '-m', String(options.memory ?? 2048),
    '-kernel', files.image,
    '-initrd', files.initrd,
    '-append', 'console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on',
    '-chardev', 'stdio,id=console', '-serial', 'chardev:console',
    // The first virtio device, hence /dev/vport0p1 and so on in the guest.
    '-device', 'virtio-serial-pci',
    ...PORTS.flatMap((fd, index) => [
      '-chardev', `socket,id=port${fd},fd=${fd}`, '-device', `virtserialport,chardev=port${fd},nr=${index + 1}`
    ]),
    '-device', 'virtio-rng-pci',
    ...folder('root', '/', true),
    ...(share === undefined ? [] : folder('share', share, false)),
    ...(forward.length === 0 ? [] : network(forward))
  ]
}

/**
 * With icount the guest's clock advances one nanosecond an instruction, so that CPU time counts instructions. Without
 * erms and fsrm the guest's copies do not count every byte as one. la57, page tables of five levels, makes each of the
 * emulator's address look-ups longer: without it Node programs start some 8 % sooner. The size of the translation
 * cache (tb-size) made no difference.
 */
function processor (icount: boolean, cpus: number): string[] {
  return icount
    ? ['-accel', 'tcg,thread=single', '-icount', 'shift=0,sleep=off', '-smp', '1', '-cpu', 'max,-la57,-erms,-fsrm']
    : ['-accel', 'tcg,thread=multi', '-smp', String(cpus), '-cpu', 'max,-la57']
}

function folder (tag: string, path: string, readOnly: boolean): string[] {
  const escaped = path.replaceAll(',', ',,')
  return [
    '-fsdev', `local,id=${tag},path=${escaped},security_model=none,multidevs=remap${readOnly ? ',readonly=on' : ''}`,
    '-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`
  ]
}

/** restrict=on: the guest reaches nothing, it is only reached. */
function network (forward: NonNullable<GuestOptions['forward']>): string[] {
  const rules = forward.map(one => `,hostfwd=tcp:127.0.0.1:${one.host}-10.0.2.15:${one.guest}`).join('')
  return ['-netdev', `user,id=net,restrict=on${rules}`, '-device', 'virtio-net-pci,netdev=net,romfile=']
}
