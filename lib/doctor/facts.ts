import { release, version } from 'node:os'
import type { KernelCounters, Support } from '../../types/index'
import { detectContainer } from '../machine/container'
import { kernelCounters } from '../observe/kernel-counters'
import { readIfThere } from '../machine/read'
import { detect } from '../machine/support'
import { detectModule } from '../machine/tls-module'
import type { ModuleState } from '../machine/tls-module'
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

export function gatherFacts (): Facts {
  const kernel = release()
  // First, for the probe can have the kernel load its module.
  const { support } = detect()
  return {
    platform: process.platform,
    arch: process.arch,
    kernel,
    upstream: upstreamOf({ release: kernel, build: version(), signature: readIfThere('/proc/version_signature') }),
    distribution: distributionOf(readIfThere('/etc/os-release')),
    container: detectContainer(),
    node: process.versions.node,
    openssl: process.versions.openssl ?? null,
    module: detectModule(kernel),
    support,
    counters: kernelCounters()
  }
}

export function distributionOf (osRelease: string | null): string | null {
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease ?? '')?.[1] ?? null
}
