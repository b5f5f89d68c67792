import { spawn } from 'node:child_process'
import { once } from 'node:events'
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
  const parent = join(cacheFolder(), name)
  const isFresh = (entry: Cached | undefined): entry is Cached => entry !== undefined && Date.now() - entry.checked < maxAge * DAY
  const found = await newestVersion(parent)
  if (isFresh(found)) return found.path
  await mkdir(parent, { recursive: true })
  return alone(join(parent, '.lock'), async () => {
    // Another one may have had the lock for that.
    const cached = await newestVersion(parent)
    return isFresh(cached) ? cached.path : renewed(name, cached, lookUp, onProgress)
  })
}

async function renewed (
  name: string, cached: Cached | undefined, lookUp: (offer: Offer) => Promise<string>, onProgress: Progress
): Promise<string> {
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

/**
 * Runs a task while no other has the lock, so that two test files that start together do not download the same. It
 * is flock(1)'s, which goes with its standard input: with this process, however that ends.
 */
export async function alone<T> (lock: string, task: () => Promise<T>): Promise<T> {
  const holder = spawn('flock', [lock, 'sh', '-c', 'echo; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [line] = await Promise.race([once(holder.stdout, 'data'), once(holder, 'close')]) as [Buffer | number]
  if (!Buffer.isBuffer(line)) throw new Error(`flock could not lock ${lock}`)
  try {
    return await task()
  } finally {
    holder.stdin.end()
  }
}

interface Cached {
  readonly path: string
  /** When it was last found to be the newest. */
  readonly checked: number
}

/** The time of an entry's folder is when it was last found to be the newest. */
async function newestVersion (parent: string): Promise<Cached | undefined> {
  let newest: Cached | undefined
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
