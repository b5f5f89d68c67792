import { compareVersions, versionOf } from '../machine/kernel-version'
import type { KernelVersion } from '../machine/kernel-version'

export interface VersionSigns {
  /** `uname -r`. */
  readonly release: string
  /** `uname -v`. */
  readonly build: string
  /** Ubuntu's `/proc/version_signature`. */
  readonly signature: string | null
}

/**
 * The version of kernel.org's that the kernel is made from. Debian and Ubuntu keep
 * the patch at 0 in the release, as in 6.1.0-56-amd64, and say it elsewhere.
 */
export function upstreamOf ({ release, build, signature }: VersionSigns): string {
  return /\bDebian (\d+\.\d+\.\d+)/.exec(build)?.[1] ?? /^Ubuntu \S+ (\d+\.\d+\.\d+)/.exec(signature ?? '')?.[1] ?? release
}

export interface Flaw {
  readonly id: `CVE-${string}`
  /** What it lets whom do. */
  readonly summary: string
  /** The first release with it of each branch that was given it later, oldest first; the last is mainline's. */
  readonly since: readonly KernelVersion[]
  /** The first release with the fix of each branch that has it, oldest first; the last is mainline's. */
  readonly fixed: readonly KernelVersion[]
}

/** Flaws of kernel TLS, by the versions in their CVE records and the branches' change logs. */
export const FLAWS: readonly Flaw[] = [
  {
    id: 'CVE-2024-0646',
    summary: 'splice(2) into a kernel TLS socket lets a local user write out of bounds',
    since: [[4, 20, 0]],
    fixed: [[5, 4, 267], [5, 10, 208], [5, 15, 147], [6, 1, 69], [6, 6, 7], [6, 7, 0]]
  },
  {
    id: 'CVE-2025-38616',
    summary: 'data that disappears from under a kernel TLS socket lets a local user have freed memory used',
    since: [[6, 0, 0]],
    fixed: [[6, 1, 185], [6, 6, 103], [6, 12, 43], [6, 15, 11], [6, 16, 2], [6, 17, 0]]
  },
  {
    id: 'CVE-2026-23240',
    summary: 'closing a kernel TLS socket can race with what it still transmits, and freed memory is used',
    since: [[5, 3, 0]],
    fixed: [[6, 12, 75], [6, 18, 16], [6, 19, 6], [7, 0, 0]]
  },
  {
    id: 'CVE-2026-31533',
    summary: 'after an error of asynchronous encryption, a local user can have freed memory used by sending on',
    since: [[5, 15, 160], [6, 1, 84], [6, 6, 18], [6, 7, 6], [6, 8, 0]],
    fixed: [[5, 15, 203], [6, 1, 169], [6, 6, 135], [6, 12, 82], [6, 18, 23], [6, 19, 13], [7, 0, 0]]
  },
  {
    id: 'CVE-2026-64046',
    summary: 'where a BPF program of a sockmap rearranges what is sent by kernel TLS, its sender can have wrong memory encrypted',
    since: [[5, 4, 14], [5, 5, 0]],
    fixed: [[5, 10, 258], [5, 15, 209], [6, 1, 175], [6, 6, 142], [6, 12, 92], [6, 18, 34], [7, 0, 11], [7, 1, 0]]
  },
  {
    id: 'CVE-2026-64047',
    summary: 'as CVE-2026-64046, by another mistake in the same place',
    since: [[5, 4, 14], [5, 5, 0]],
    fixed: [[5, 10, 258], [5, 15, 209], [6, 1, 175], [6, 6, 142], [6, 12, 92], [6, 18, 34], [7, 0, 11], [7, 1, 0]]
  },
  {
    id: 'CVE-2026-74610',
    summary: 'small writes with MSG_MORE and then a splice(2) let a local user crash the kernel',
    since: [[6, 5, 0]],
    fixed: [[6, 6, 152], [6, 12, 104], [6, 18, 45], [7, 1, 9], [7, 2, 0]]
  }
]

/**
 * The flaws that a kernel of this version has as kernel.org publishes it.
 * Distributions fix without changing the version, so it may not have them.
 */
export function possibleFlaws (upstream: string): Flaw[] {
  const version = versionOf(upstream)
  return version === undefined ? [] : FLAWS.filter(flaw => isOpen(flaw, version))
}

function isOpen ({ since, fixed }: Flaw, version: KernelVersion): boolean {
  return !isBefore(version, since) && isBefore(version, fixed)
}

/**
 * Whether a version comes before a change that these releases brought. A branch that none of them is of got it from
 * mainline, if it began after that, else never.
 */
function isBefore (version: KernelVersion, firsts: readonly KernelVersion[]): boolean {
  const ofBranch = firsts.find(([major, minor]) => major === version[0] && minor === version[1])
  return compareVersions(version, ofBranch ?? firsts.at(-1)!) < 0
}
