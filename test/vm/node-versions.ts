import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { freshEntry, type Progress } from './cache'
import { runDownload } from './run'

export const NODE_MAJORS = [20, 22, 24, 26] as const

export type NodeMajor = typeof NODE_MAJORS[number]

/** Days after which a newer release of a major is looked for. */
const MAX_AGE = 14

/**
 * The path of a Node of this major: the one that runs this, if it is, else the newest that npm has. Its headers, for
 * node-gyp's `--nodedir`, are two folders up in `include/node`.
 */
export async function nodeBinary (major: NodeMajor, onProgress: Progress = () => {}): Promise<string> {
  if (process.versions.node.split('.', 1)[0] === String(major)) return process.execPath

  return fetchNode(major, 'x64', onProgress)
}

/** The path of npm's newest Node of this major for a processor. */
export async function fetchNode (major: NodeMajor, arch: 'x64' | 'arm64', onProgress: Progress = () => {}): Promise<string> {
  const name = `node-linux-${arch}`
  const wanted = `${name}@${major}`
  const entry = await freshEntry(arch === 'x64' ? `node-${major}` : `node-${major}-${arch}`, MAX_AGE, async offer => {
    const version = await newest(wanted)
    return offer(version, async folder => {
      onProgress(`fetching Node ${version}`)
      // --force: also for another processor than this one.
      await runDownload('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts', '--force', `${name}@${version}`], { cwd: folder })
    })
  }, onProgress)
  const binary = join(entry, 'node_modules', name, 'bin', 'node')
  await access(binary, constants.X_OK)
  return binary
}

/** `npm view` lists every version that a range matches, oldest first; a single match comes as a bare string. */
async function newest (wanted: string): Promise<string> {
  const shown: unknown = JSON.parse(await runDownload('npm', ['view', wanted, 'version', '--json'], { cwd: '/' }))
  const version: unknown = Array.isArray(shown) ? shown.at(-1) : shown
  if (typeof version !== 'string') throw new Error(`npm knows no ${wanted}`)
  return version
}
