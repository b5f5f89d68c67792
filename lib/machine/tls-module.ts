import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { isSince } from './kernel-version'
import { readIfThere } from './read'

/**
 * Of the kernel module `tls`: usable now; a file that can be loaded; not among the
 * running kernel's modules; not part of the kernel's build; nothing is known.
 */
export type ModuleState = 'loaded' | 'on-disk' | 'not-on-disk' | 'not-built' | 'unknown'

export interface ModuleSigns {
  /** `/proc/sys/net/ipv4/tcp_available_ulp`. */
  readonly ulps: string | null
  /** The kernel's configuration. */
  readonly config: string | null
  /** `modules.dep` of the running kernel. */
  readonly modules: string | null
  /** Whether a path that `modules.dep` names exists. */
  isThere (path: string): boolean
}

/** `kernel` is its release, as `uname -r` prints it. */
export function detectModule (kernel: string): ModuleState {
  const folder = `/lib/modules/${kernel}`
  return moduleState({
    ulps: readIfThere('/proc/sys/net/ipv4/tcp_available_ulp'),
    config: kernelConfig(kernel),
    modules: readIfThere(join(folder, 'modules.dep')),
    isThere: path => existsSync(join(folder, path))
  })
}

/** The configuration that the kernel was built with, where kernel or distribution publish it. */
function kernelConfig (kernel: string): string | null {
  try {
    return gunzipSync(readFileSync('/proc/config.gz')).toString('latin1')
  } catch {
    return readIfThere(`/boot/config-${kernel}`)
  }
}

export function moduleState ({ ulps, config, modules, isThere }: ModuleSigns): ModuleState {
  if (ulps?.split(/\s+/).includes('tls') === true) return 'loaded'
  if (config !== null && !/^CONFIG_TLS=[ym]$/m.test(config)) return 'not-built'
  if (modules === null) return 'unknown'
  const path = /^(\S*\/net\/tls\/tls\.ko\S*):/m.exec(modules)?.[1]
  return path !== undefined && isThere(path) ? 'on-disk' : 'not-on-disk'
}

export interface MissingModule {
  readonly module: Exclude<ModuleState, 'loaded'>
  /** The kind of container that this process is in. */
  readonly container: string | null
  /** The kernel's release. */
  readonly kernel: string
}

export interface Explanation {
  readonly state: 'missing' | 'not loaded'
  readonly cause: string
  /** Without a semicolon, so that it can end a text after one. */
  readonly remedy: string
}

const MODPROBE = 'sudo modprobe tls && echo tls | sudo tee /etc/modules-load.d/tls.conf'

const STATES: Readonly<Record<MissingModule['module'], Pick<Explanation, 'state' | 'cause'>>> = {
  'on-disk': { state: 'not loaded', cause: 'the kernel module tls is there, but nothing has loaded it' },
  'not-on-disk': { state: 'missing', cause: 'the kernel module tls is not among those of the running kernel' },
  'not-built': { state: 'missing', cause: 'the kernel was built without kernel TLS (CONFIG_TLS is not set)' },
  unknown: { state: 'not loaded', cause: 'nothing has loaded the kernel module tls, and whether the kernel has it cannot be seen from here' }
}

/** Why the kernel has no kernel TLS, and what helps. */
export function explainMissingModule (missing: MissingModule): Explanation {
  const { module, kernel } = missing
  if (!isSince(kernel, 4, 13)) {
    return { state: 'missing', cause: `kernel TLS came with Linux 4.13, and this is ${kernel}`, remedy: 'use a newer kernel' }
  }
  return { ...STATES[module], remedy: remedyOf(missing) }
}

function remedyOf ({ module, container }: MissingModule): string {
  if (module === 'not-built') return 'use a kernel with CONFIG_TLS=m or =y, as those of most distributions'
  if (container !== null) return `on the host, whose kernel this container uses: ${MODPROBE}`
  if (module === 'not-on-disk') return 'reboot if the kernel was upgraded since the last boot, otherwise install the rest of its modules (a package such as linux-modules-extra or kernel-modules)'
  return MODPROBE
}
