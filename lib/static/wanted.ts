import { isAbsolute, join } from 'node:path'
import type { FastifyRequest } from 'fastify'
import type { Options } from './places'

/** Options of a call of `reply.sendFile` or `reply.download` under which an answer is kept. */
const CALL_OPTIONS = new Set(['root', 'acceptRanges', 'cacheControl', 'contentType', 'dotfiles', 'etag', 'extensions', 'immutable', 'index', 'lastModified', 'maxAge'])

/** What is asked for, by a route or by a call. */
export interface Wanted {
  /** The same each time that the same is asked for. */
  readonly name: string
  readonly options: Options
  /** As @fastify/static sees it; undefined where that is not known. */
  readonly pathname: () => string | undefined
}

/** Of a route that is there for one file (option `wildcard`). */
export interface RouteFile {
  readonly file?: string
  readonly rootPath?: string
}

export function wantedByRoute ({ file, rootPath: root }: RouteFile = {}, options: Options): Wanted | undefined {
  if (file === undefined || root === undefined) return undefined
  return { name: JSON.stringify([file, root]), options: { ...options, root }, pathname: () => file }
}

export function wantedByUrl ({ raw: { url = '' }, routeOptions }: FastifyRequest, options: Options): Wanted {
  const query = url.indexOf('?')
  const name = query < 0 ? url : url.slice(0, query)
  return { name, options, pathname: () => routeOptions.url === undefined ? undefined : pathBelow(routeOptions.url.slice(0, -1), name) }
}

/** What a path names below a prefix; undefined where it is not spelled as usual, so that each is kept once, or the prefix has parameters. */
function pathBelow (prefix: string, path: string): string | undefined {
  const decoded = decode(path)
  if (/[:*(]/.test(prefix) || !path.startsWith(prefix) || decoded === undefined || encodeURI(decoded) !== path) return undefined
  return join('/', decoded.slice(decode(prefix)!.length))
}

function decode (path: string): string | undefined {
  try {
    return decodeURI(path)
  } catch {
    return undefined
  }
}

export function wantedByCall (name: string, call: unknown[], options: Options): Wanted | undefined {
  const [pathname, second, third, ...rest] = call
  const own = (typeof second === 'object' ? second : third) ?? {}
  const root = name === 'sendFile' && typeof second === 'string' ? second : (own as { root?: unknown }).root
  const isKnown = rest.length === 0 && typeof pathname === 'string' && (root === undefined || (typeof root === 'string' && isAbsolute(root))) &&
    [second, third].every(one => one === undefined || typeof one === 'string' || isPlainObject(one)) && Object.entries(own).every(([option, value]) => CALL_OPTIONS.has(option) && isPlainValue(value))
  if (!isKnown) return undefined
  return { name: JSON.stringify([name, ...call]), options: { ...options, ...own, root: (root as string | undefined) || options.root }, pathname: () => pathname }
}

function isPlainObject (value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function isPlainValue (value: unknown): boolean {
  if (Array.isArray(value)) return value.every(one => typeof one === 'string')
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)
}
