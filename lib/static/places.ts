import { join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyStaticOptions } from '@fastify/static'

const INDEX = 'index.html'

/** By which @fastify/static's option `preCompressed` names a file's siblings. */
const COMPRESSED = ['.br', '.gz', '.deflate']

/** Everything that an answer to one path may depend on. */
export interface Candidates {
  /** Folders, from each root down, and the files of which @fastify/static takes the first that is there. */
  readonly paths: readonly string[]
  /** Those of the files that are compressed ones. */
  readonly compressed: ReadonlySet<string>
}

/** The options of @fastify/static by which it looks for files and sets headers; some of them may be undefined. */
export type Options = { [Name in keyof FastifyStaticOptions]?: FastifyStaticOptions[Name] | undefined }

/** Where @fastify/static looks for files, by its options. */
export class Places {
  readonly #roots: readonly string[]
  readonly #indexes: readonly string[]
  readonly #extensions: readonly string[]
  readonly #preCompressed: boolean

  private constructor (roots: readonly string[], indexes: readonly string[], extensions: readonly string[], preCompressed: boolean) {
    this.#roots = roots
    this.#indexes = indexes
    this.#extensions = extensions
    this.#preCompressed = preCompressed
  }

  /** Undefined where options are not valid: they are for @fastify/static to refuse. */
  static of ({ root, index = INDEX, extensions = [], preCompressed }: Options): Places | undefined {
    const roots = [root].flat().map(folderOf)
    const names = index === false ? [] : [index].flat()
    const others = [extensions].flat()
    if (!roots.every(isString) || !names.every(isString) || !others.every(isString)) return undefined
    return new Places(roots, names, others, Boolean(preCompressed))
  }

  /** Undefined where one file could be found as two, or what is asked for is no path. */
  candidates (pathname: string): Candidates | undefined {
    const [folders, plain, compressed] = [new Set<string>(), new Set<string>(), new Set<string>()]
    for (const root of this.#roots) {
      const base = resolve(join(root, pathname))
      for (const folder of foldersOf(root, base)) folders.add(folder)
      const files = [base, ...this.#indexes.map(index => join(base, index))]
      for (const file of [...files, ...this.#extensions.map(extension => `${base}.${extension}`)]) plain.add(file)
      if (this.#preCompressed) for (const file of files) for (const suffix of COMPRESSED) compressed.add(file + suffix)
    }
    if ([...compressed].some(file => plain.has(file))) return undefined
    const paths = [...new Set([...folders, ...plain, ...compressed])]
    return paths.some(path => path.includes('\0')) ? undefined : { paths, compressed }
  }
}

function folderOf (root: unknown): string | undefined {
  if (root instanceof URL && root.protocol === 'file:') return resolve(fileURLToPath(root))
  return typeof root === 'string' && root !== '' ? resolve(root) : undefined
}

function isString (value: unknown): value is string {
  return typeof value === 'string'
}

/** Those on the way from the root to what lies in it. */
function foldersOf (root: string, path: string): string[] {
  const folders = [root]
  for (const name of relative(root, path).split(sep).slice(0, -1)) folders.push(join(folders.at(-1)!, name))
  return folders
}
