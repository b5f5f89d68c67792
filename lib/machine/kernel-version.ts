/** Major, minor and patch. */
export type KernelVersion = readonly [number, number, number]

/** The version at the beginning of what `uname -r` prints; undefined where there is none. */
export function versionOf (release: string): KernelVersion | undefined {
  const match = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(release)
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)]
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

export function formatVersion ([major, minor, patch]: KernelVersion): string {
  return patch === 0 ? `${major}.${minor}` : `${major}.${minor}.${patch}`
}
