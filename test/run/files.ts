/* The files of tests. The suffix of a file's name says where it runs, its folder what it is about. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(__dirname, '..')

/** The names of the files that run in one place; what comes before the suffix, and `.alone` or `.full` after it, name the test. */
const KINDS = {
  /** What any backend does; by run/backend. */
  backend: /^(.+)\.backend(\.alone|\.full|)\.js$/,
  /** What spoils the network or the disk of its machine; by run/machine, in guests. */
  machine: /^(.+)\.machine()\.js$/,
  /** For a kernel without kernel TLS; by run/no-ktls. */
  'no-ktls': /^(.+)\.no-ktls()\.js$/,
  /** By tap; starts no guest. */
  test: /^(.+)(?<!\.guest)\.test()\.js$/,
  /** By tap; starts a guest. */
  'guest.test': /^(.+)\.guest\.test()\.js$/,
  /** By tap in the full tier; starts a guest. */
  'guest.full': /^(.+)\.guest\.full()\.js$/
}

export type Kind = keyof typeof KINDS

export const ALL_KINDS = Object.keys(KINDS) as readonly Kind[]

/** The compiled files, as `folder/file.js`. */
export function everyFile (): string[] {
  const folders = readdirSync(FOLDER, { withFileTypes: true }).filter(entry => entry.isDirectory())
  return folders.flatMap(({ name }) => readdirSync(join(FOLDER, name)).filter(file => file.endsWith('.js')).map(file => `${name}/${file}`)).sort()
}

/** The names of all tests of a kind: `folder/name`, in their order. */
export function namesOf (kind: Kind): string[] {
  return [...pathsOf(kind).keys()]
}

/** Their compiled files. */
export function pathsOf (kind: Kind): Map<string, string> {
  const found = everyFile().flatMap(file => {
    const match = KINDS[kind].exec(file)
    return match === null ? [] : [[`${match[1]}${match[2]}`, join(FOLDER, file)] as const]
  })
  return new Map(found)
}

/** The compiled file of one. */
export function pathOf (kind: Kind, name: string): string {
  const path = pathsOf(kind).get(name)
  if (path === undefined) throw new Error(`no test ${name}`)
  return path
}

/**
 * Of `names` those that are given by name or by folder, or all where nothing is given.
 * A folder stands for no test of the full tier, and for none of those `left` out.
 * Throws where something given stands for no test at all.
 */
export function select (names: readonly string[], given: readonly string[], left: readonly string[] = []): string[] {
  const unknown = given.filter(word => !names.some(name => name === word || isIn(name, word)))
  if (unknown.length > 0) throw new Error(`no test ${unknown.join(', ')}`)
  return names.filter(name => given.includes(name) ||
    (!name.endsWith('.full') && !left.includes(name) && (given.length === 0 || given.some(word => isIn(name, word)))))
}

function isIn (name: string, folder: string): boolean {
  return name.startsWith(`${folder}/`)
}
