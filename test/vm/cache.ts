import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

const DAY = 24 * 60 * 60 * 1000

/** Half-made folders older than this belong to a run that was killed. */
const ABANDONED = DAY

export type Progress = (message: string) => void

/** Makes sure that `version` is in the cache, filling an empty folder if not, and returns its path. */
export type Offer = (version: string, fill: (folder: string) => Promise<void>) => Promise<string>

/** Outside the checkout, so that `git clean` and fresh clones keep it (XDG Base Directory Specification). */
export function cacheFolder (): string {
  const base = process.env.XDG_CACHE_HOME
  return join(base !== undefined && base.startsWith('/') ? base : join(homedir(), '.cache'), 'fastify-ktls')
}

/**
 * The entry `name/version`, filled if it is not there. It is built in a sibling and renamed, so that neither
 * a killed run nor two runs at once can leave half an entry.
 */
export async function cacheEntry (name: string, version: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const parent = join(cacheFolder(), name)
  // A Debian version's epoch colon would split library search paths.
  const entry = join(parent, version.replaceAll(':', '_'))
  if (await exists(entry)) return entry

  await mkdir(parent, { recursive: true })
  await removeAbandoned(parent)
  const building = await mkdtemp(join(parent, '.building-'))
  try {
    await fill(building)
    await rename(building, entry)
  } catch (error) {
    await rm(building, { recursive: true, force: true })
    if (!isRaceLost(error)) throw error
  }
  return entry
}

/**
 * The newest version of `name`. Looked up again when the last look was longer than `maxAge` days ago; should
 * that fail (no network, say), what is cached will do.
 */
export async function freshEntry (
  name: string, maxAge: number, lookUp: (offer: Offer) => Promise<string>, onProgress: Progress
): Promise<string> {
  const cached = await newestVersion(join(cacheFolder(), name))
  if (cached !== undefined && Date.now() - cached.checked < maxAge * DAY) return cached.path

  try {
    const entry = await lookUp((version, fill) => cacheEntry(name, version, fill))
    const now = new Date()
    await utimes(entry, now, now)
    return entry
  } catch (error) {
    if (cached === undefined) throw error
    onProgress(`no newer ${name} to be had, using what is cached (${String(error)})`)
    return cached.path
  }
}

/** The time of an entry's folder is when it was last found to be the newest. */
async function newestVersion (parent: string): Promise<{ path: string, checked: number } | undefined> {
  let newest: { path: string, checked: number } | undefined
  for (const name of await readdir(parent).catch(() => [])) {
    if (name.startsWith('.')) continue
    const path = join(parent, name)
    const checked = (await stat(path)).mtimeMs
    if (newest === undefined || checked > newest.checked) newest = { path, checked }
  }
  return newest
}

async function removeAbandoned (parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith('.building-')) continue
    const path = join(parent, name)
    const changed = await stat(path).then(found => found.mtimeMs, () => Date.now())
    if (Date.now() - changed > ABANDONED) await rm(path, { recursive: true, force: true })
  }
}

function exists (path: string): Promise<boolean> {
  return stat(path).then(() => true, () => false)
}

/** Another run renamed its own copy first: that one is as good as ours. */
function isRaceLost (error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST')
}
