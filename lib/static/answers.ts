import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyStaticOptions } from '@fastify/static'
import type { FastifyReply } from 'fastify'
import type { Proof } from './proof'

export type Headers = Readonly<Record<string, string | number | string[]>>

const INDEX = 'index.html'

/** What @fastify/static's answers consist of, under the options of one registration. */
export class Answers {
  readonly #root: string
  readonly #index: string | undefined
  /** Those that it sets on each answer, and none of the others. */
  readonly headers: readonly string[]

  private constructor (root: string, index: string | undefined, headers: readonly string[]) {
    this.#root = root
    this.#index = index
    this.headers = headers
  }

  /**
   * Undefined where an answer depends on more than its file: on what the application's functions
   * say, on whether another file is there, in another root, compressed, or by another name, or on
   * a part of the path that may be anything. Options that are not valid are for @fastify/static to refuse.
   */
  static of (options: FastifyStaticOptions): Answers | undefined {
    const { root, index = INDEX, prefix = '/', wildcard, extensions, setHeaders, allowedPath, preCompressed, list } = options
    if (setHeaders !== undefined || allowedPath !== undefined || 'onFile' in options || preCompressed || list || extensions !== undefined) return undefined
    const folder = folderOf(root)
    const [name, ...others] = [index || []].flat()
    if (folder === undefined || others.length > 0 || (name !== undefined && !isName(name))) return undefined
    if (wildcard === false || /[:*(]/.test(prefix)) return undefined
    const { acceptRanges, cacheControl, lastModified, etag, contentType } = options
    const headers = Object.entries({ 'accept-ranges': acceptRanges, 'cache-control': cacheControl, 'last-modified': lastModified, etag, 'content-type': contentType })
    const set = headers.filter(([, option]) => option !== false).map(([header]) => header)
    return new Answers(folder, name, [...set, 'content-length'])
  }

  /** What was set since there were `before` headers, if that is what @fastify/static sets. */
  headersOf (reply: FastifyReply, before: number): Headers | undefined {
    const all = reply.getHeaders()
    const own = Object.entries(all).slice(before)
    // In its order, in which they are sent.
    return own.map(([name]) => name).join() === this.headers.join() ? Object.fromEntries(own) as Headers : undefined
  }

  /** The folders from the root down to the file, and the file; undefined where it is not what a path of this spelling names. */
  pathsOf (file: string, path: string): string[] | undefined {
    // One spelling of each path, as each would be kept.
    if (encodeURI(decoded(path)) !== path) return undefined
    const named = [decoded(path), ...this.#index === undefined ? [] : [`${decoded(path)}/${this.#index}`]]
    if (!file.startsWith(join(this.#root, sep)) || !named.some(name => join(sep, name).endsWith(join(sep, relative(this.#root, file))))) return undefined
    const folders = [this.#root]
    for (const name of relative(this.#root, dirname(file)).split(sep).filter(Boolean)) folders.push(join(folders.at(-1)!, name))
    return [...folders, file]
  }
}

function folderOf (root: unknown): string | undefined {
  if (root instanceof URL && root.protocol === 'file:') return resolve(fileURLToPath(root))
  return typeof root === 'string' ? resolve(root) : undefined
}

function isName (index: unknown): boolean {
  return typeof index === 'string' && !index.includes('/')
}

/** Not one that it refuses. */
function decoded (path: string): string {
  try {
    return decodeURI(path)
  } catch {
    return ''
  }
}

/** Whether the head is that of the file, and not of one that had its name when @fastify/static asked: a link above the root may have been switched since. */
export function isHeadOf ({ size, modified }: Proof, headers: Headers): boolean {
  const milliseconds = Math.round(modified)
  const { etag, 'last-modified': date, 'content-length': length } = headers
  return Number(length) === size &&
    (date === undefined || date === new Date(milliseconds).toUTCString()) &&
    (etag === undefined || etag === `W/"${size.toString(16)}-${milliseconds.toString(16)}"`)
}
