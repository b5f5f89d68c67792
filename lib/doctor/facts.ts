import { existsSync, readFileSync } from 'node:fs'
import { release, version } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { KernelCounters, Support } from '../../types/index'
import { kernelCounters } from '../kernel-counters'
import { detect } from '../support'
import { upstreamOf } from './kernel-versions'

/** What the findings are made from. */
export interface Facts {
  readonly platform: string
  readonly arch: string
  /** As `uname -r` prints it. */
  readonly kernel: string
  /** The version of kernel.org's that it is made from, as far as it says. */
  readonly upstream: string
  /** Its name in words, where it says so. */
  readonly distribution: string | null
  /** The kind of container that this process is in. */
  readonly container: string | null
  /** Versions without "v"; `openssl` is null in a runtime that has none. */
  readonly node: string
  readonly openssl: string | null
  readonly module: ModuleState
  readonly support: Support
  readonly counters: KernelCounters | null
}

/**
 * Of the kernel module `tls`: usable now; a file that can be loaded; not among the
 * running kernel's modules; not part of the kernel's build; nothing is known.
 */
export type ModuleState = 'loaded' | 'on-disk' | 'not-on-disk' | 'not-built' | 'unknown'

export function gatherFacts (): Facts {
  const kernel = release()
  // First, for the probe can have the kernel load its module.
  const { support } = detect()
  return {
    platform: process.platform,
    arch: process.arch,
    kernel,
    upstream: upstreamOf({ release: kernel, build: version(), signature: read('/proc/version_signature') }),
    distribution: distributionOf(read('/etc/os-release')),
    container: containerOf({
      files: ['/.dockerenv', '/run/.containerenv'].filter(existsSync),
      env: process.env,
      cgroup: read('/proc/1/cgroup') ?? ''
    }),
    node: process.versions.node,
    openssl: process.versions.openssl ?? null,
    module: moduleState({
      ulps: read('/proc/sys/net/ipv4/tcp_available_ulp'),
      config: kernelConfig(kernel),
      modules: read(join(modulesOf(kernel), 'modules.dep')),
      isThere: path => existsSync(join(modulesOf(kernel), path))
    }),
    support,
    counters: kernelCounters()
  }
}

function read (path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return null
  }
}

function modulesOf (kernel: string): string {
  return `/lib/modules/${kernel}`
}

/** The configuration that the kernel was built with, where kernel or distribution publish it. */
function kernelConfig (kernel: string): string | null {
  try {
    return gunzipSync(readFileSync('/proc/config.gz')).toString('latin1')
  } catch {
    return read(`/boot/config-${kernel}`)
  }
}

export function distributionOf (osRelease: string | null): string | null {
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease ?? '')?.[1] ?? null
}

export interface ContainerSigns {
  /** Those of `/.dockerenv` and `/run/.containerenv` that exist. */
  readonly files: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** `/proc/1/cgroup`. */
  readonly cgroup: string
}

export function containerOf ({ files, env, cgroup }: ContainerSigns): string | null {
  if (env.KUBERNETES_SERVICE_HOST !== undefined || cgroup.includes('kubepods')) return 'Kubernetes'
  if (files.includes('/run/.containerenv') || env.container === 'podman') return 'Podman'
  if (files.includes('/.dockerenv') || cgroup.includes('docker')) return 'Docker'
  // systemd-nspawn and LXC say their name (https://systemd.io/CONTAINER_INTERFACE/).
  if (env.container !== undefined && env.container !== '') return env.container
  return /\b(lxc|containerd)\b/.exec(cgroup)?.[1] ?? null
}

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

export function moduleState ({ ulps, config, modules, isThere }: ModuleSigns): ModuleState {
  if (ulps?.split(/\s+/).includes('tls') === true) return 'loaded'
  if (config !== null && !/^CONFIG_TLS=[ym]$/m.test(config)) return 'not-built'
  if (modules === null) return 'unknown'
  const path = /^(\S*\/net\/tls\/tls\.ko\S*):/m.exec(modules)?.[1]
  return path !== undefined && isThere(path) ? 'on-disk' : 'not-on-disk'
}
