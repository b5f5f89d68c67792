import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run, runDownload } from './run'

/** A Debian suite, and which of Debian's two archives holds it. */
export interface Suite { readonly name: string, readonly archive: 'main' | 'security' }

export interface Candidate { readonly version: string, readonly depends: readonly string[] }

const LABELS = { main: 'Debian', security: 'Debian-Security' }

/**
 * apt with configuration, lists and status of its own: it neither changes nor needs the system's suites, installs
 * nothing and needs no root. Only where the archives are and which keys sign them comes from the system.
 */
export class Apt {
  private constructor (private readonly folder: string, private readonly options: readonly string[]) {}

  static async use<T> (suites: readonly Suite[], task: (apt: Apt) => Promise<T>): Promise<T> {
    const sources = await sourcesFor(suites)
    const folder = await mkdtemp(join(tmpdir(), 'fastify-ktls-apt-'))
    try {
      for (const needed of ['state', 'cache']) await mkdir(join(folder, needed))
      await writeFile(join(folder, 'sources.list'), sources)
      // An empty status makes apt resolve a package's whole set of dependencies, installed here or not.
      await writeFile(join(folder, 'status'), '')
      const apt = new Apt(folder, Object.entries({
        'Dir::Etc::SourceList': join(folder, 'sources.list'),
        'Dir::Etc::SourceParts': '/dev/null',
        'Dir::Etc::Preferences': '/dev/null',
        'Dir::Etc::PreferencesParts': '/dev/null',
        'Dir::State': join(folder, 'state'),
        'Dir::State::status': join(folder, 'status'),
        'Dir::Cache': join(folder, 'cache'),
        'Acquire::Languages': 'none',
        'Acquire::Retries': '3',
        // The folder is ours alone, so the user _apt could not write there.
        'APT::Sandbox::User': '',
        'APT::Architecture': 'amd64'
      }).flatMap(([name, value]) => ['-o', `${name}=${value}`]))
      await runDownload('apt-get', [...apt.options, '-o', 'APT::Update::Error-Mode=any', 'update'])
      return await task(apt)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  /** The version that apt would install; undefined if no suite has the package. */
  async candidate (name: string): Promise<Candidate | undefined> {
    const shown = await run('apt-cache', [...this.options, '--no-all-versions', 'show', name]).catch(() => '')
    const version = /^Version: (.+)$/m.exec(shown)?.[1]
    if (version === undefined) return undefined
    const depends = /^Depends: (.+)$/m.exec(shown)?.[1] ?? ''
    return { version, depends: depends.split(',').map(one => one.trim().split(/[ |(]/, 1)[0] ?? '').filter(Boolean) }
  }

  /** Unpacks packages into a folder, without what they depend on. */
  async unpack (names: readonly string[], into: string): Promise<void> {
    const folder = await mkdtemp(join(this.folder, 'download-'))
    await runDownload('apt-get', [...this.options, 'download', ...names], { cwd: folder })
    await unpackAll(folder, into)
  }

  /** Unpacks packages and all they depend on, down to the C library. */
  async unpackWithDependencies (names: readonly string[], into: string): Promise<void> {
    await runDownload('apt-get', [...this.options, 'install', '--yes', '--no-install-recommends', '--download-only', ...names])
    await unpackAll(join(this.folder, 'cache', 'archives'), into)
  }
}

async function unpackAll (folder: string, into: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.endsWith('.deb')) await run('dpkg-deb', ['--extract', join(folder, name), into])
  }
}

/** sources.list lines for the suites, on the mirrors and with the keys that this system's apt already uses. */
async function sourcesFor (suites: readonly Suite[]): Promise<string> {
  const known = await debianTargets()
  const lines: string[] = []
  for (const { name, archive } of suites) {
    const target = known.find(one => one.get('Label') === LABELS[archive])
    const uri = target?.get('Repo-URI')
    if (uri === undefined) {
      throw new Error(`the test guest needs Debian's suite ${name}, but this system's apt knows no archive labelled ` +
        `${LABELS[archive]}: run it on Debian, after "apt-get update"`)
    }
    const keys = await signedBy(target?.get('Sourcesentry'))
    lines.push(`deb ${keys === undefined ? '' : `[signed-by=${keys}] `}${uri} ${name} main\n`)
  }
  return lines.join('')
}

/** The system's indexes of Debian's own archives; it takes root to have them fetched if they never were. */
async function debianTargets (): Promise<ReadonlyArray<ReadonlyMap<string, string>>> {
  const list = ['indextargets', 'Created-By: Packages', 'Origin: Debian']
  const known = await run('apt-get', list).catch((error: unknown) => {
    throw new Error('the test guest is made of Debian packages: it needs Debian\'s apt-get and dpkg-deb', { cause: error })
  })
  if (known.trim() !== '' || process.getuid?.() !== 0) return parseTargets(known)
  await runDownload('apt-get', ['update'])
  return parseTargets(await run('apt-get', list))
}

/** `apt-get indextargets` prints one RFC 822 stanza a target (apt-get(8)). */
function parseTargets (text: string): ReadonlyArray<ReadonlyMap<string, string>> {
  return text.split('\n\n').map(stanza => new Map(stanza.split('\n').map(line => {
    const colon = line.indexOf(': ')
    return [line.slice(0, colon), line.slice(colon + 2)] as const
  })))
}

/** The keyring named by the file of a source, in either format of sources.list(5); without one apt's own keys count. */
async function signedBy (entry: string | undefined): Promise<string | undefined> {
  const file = entry?.replace(/:\d+$/, '')
  if (file === undefined) return undefined
  const text = await readFile(file, 'utf8').catch(() => '')
  return /^signed-by:\s*(\/\S+)\s*$/im.exec(text)?.[1] ?? /\[[^\]]*signed-by=(\/[^\s\]]+)/i.exec(text)?.[1]
}
