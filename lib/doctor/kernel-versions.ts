/** Major, minor and patch. */
export type KernelVersion = readonly [number, number, number]

/** The version at the beginning of what `uname -r` prints; undefined where there is none. */
export function versionOf (release: string): KernelVersion | undefined {
  const match = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(release)
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)]
}

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

/** Negative where `one` is older than `other`, 0 where they are equal. */
export function compareVersions (one: KernelVersion, other: KernelVersion): number {
  return one[0] - other[0] || one[1] - other[1] || one[2] - other[2]
}

/** Whether the release is `major.minor` or later; false where it has no version. */
export function isSince (release: string, major: number, minor: number): boolean {
  const version = versionOf(release)
  return version !== undefined && compareVersions(version, [major, minor, 0]) >= 0
}

export interface Flaw {
  readonly id: string
  /** What it lets whom do. */
  readonly summary: string
  readonly since: KernelVersion
  /** The first release with the fix of each branch that has it, oldest first; the last is mainline's. */
  readonly fixed: readonly KernelVersion[]
}

/** Flaws of kernel TLS, by the versions in their CVE records and the branches' change logs. */
export const FLAWS: readonly Flaw[] = [
  {
    id: 'CVE-2024-0646',
    summary: 'splice(2) into a kernel TLS socket lets a local user write out of bounds',
    since: [4, 20, 0],
    fixed: [[5, 4, 267], [5, 10, 208], [5, 15, 147], [6, 1, 69], [6, 6, 7], [6, 7, 0]]
  },
  {
    id: 'CVE-2025-38616',
    summary: 'data that disappears from under a kernel TLS socket lets a local user have freed memory used',
    since: [6, 0, 0],
    fixed: [[6, 1, 185], [6, 6, 103], [6, 12, 43], [6, 15, 11], [6, 16, 2], [6, 17, 0]]
  },
  {
    id: 'CVE-2026-23240',
    summary: 'closing a kernel TLS socket can race with what it still transmits, and freed memory is used',
    since: [5, 3, 0],
    fixed: [[6, 12, 75], [6, 18, 16], [6, 19, 6], [7, 0, 0]]
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
  if (compareVersions(version, since) < 0) return false
  const ofBranch = fixed.find(([major, minor]) => major === version[0] && minor === version[1])
  return compareVersions(version, ofBranch ?? fixed.at(-1)!) < 0
}

export function formatVersion ([major, minor, patch]: KernelVersion): string {
  return patch === 0 ? `${major}.${minor}` : `${major}.${minor}.${patch}`
}
