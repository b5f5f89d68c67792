import type { Stats } from 'node:fs'
import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { FastifyStaticOptions } from '@fastify/static'
import type { FastifyReply } from 'fastify'
import type { Options } from './places'
import type { Part } from './question'

export type Headers = Readonly<Record<string, string | number | string[]>>

export type SetHeaders = NonNullable<FastifyStaticOptions['setHeaders']>

/** What @fastify/static says of a file. */
export interface Head {
  readonly status: number
  /** Those that are set before `setHeaders` is called, in their order. */
  readonly headers: Headers
  /** Those that are set after that: of a compressed file. */
  readonly late: Headers
  /** What `setHeaders` is called with. */
  readonly path: string
  readonly stat: Stats
}

/** What @fastify/static sets, in its order, and the options by which it leaves each out. */
const SET = [
  ['accept-ranges', 'acceptRanges'], ['cache-control', 'cacheControl'], ['last-modified', 'lastModified'], ['etag', 'etag'], ['content-type', 'contentType']
] as const

/** The names of the headers of an answer with this status. */
export function headerNames (options: Options, status: number): string[] {
  const names: string[] = SET.filter(([, option]) => options[option] === undefined || Boolean(options[option])).map(([name]) => name)
  if (status === 304) return names.filter(name => name !== 'content-type')
  return [...names, ...status === 206 ? ['content-range'] : [], 'content-length']
}

/** Those that were set last, if these are they: else another's may be among them. */
export function lastHeaders (reply: FastifyReply, names: readonly string[]): Headers | undefined {
  const last = Object.entries(reply.getHeaders()).slice(-names.length)
  return last.map(([name]) => name).join() === names.join() ? Object.fromEntries(last) as Headers : undefined
}

/** Of the whole file, from that of a part. */
export function wholeOf ({ headers: { 'content-range': _, ...headers }, ...head }: Head): Head {
  return { ...head, status: 200, headers: { ...headers, 'content-length': head.stat.size } }
}

/** Of a part, from that of the whole file. */
export function partialOf ({ headers: { 'content-length': _, ...headers }, ...head }: Head, { start, end }: Part): Head {
  return { ...head, status: 206, headers: { ...headers, 'content-range': `bytes ${start}-${end}/${head.stat.size}`, 'content-length': end - start + 1 } }
}

/** Whether status and headers are set as Fastify does, and no hook has set a status. */
export function isPlain (reply: FastifyReply): boolean {
  return reply.statusCode === 200 && !Object.hasOwn(reply, 'header') && !Object.hasOwn(reply, 'headers')
}

/** Whether nothing that a hook has set would be replaced. */
export function isUntouched (reply: FastifyReply, { headers, late }: Head): boolean {
  if (!isPlain(reply)) return false
  const set: Record<string, unknown> = reply.getHeaders()
  for (const name in set) if (set[name] !== undefined && (name in headers || name in late)) return false
  return true
}

/** Sets what @fastify/static would, in its order. */
export function writeHead (reply: FastifyReply, { status, headers, late, path, stat }: Head, setHeaders: SetHeaders | undefined, varies: boolean): void {
  reply.code(status).headers(headers)
  setHeaders?.(reply, path, copyOfStat(stat))
  if (varies) vary(reply)
  reply.headers(late)
}

/** What Fastify and Node go by when they send. */
const FRAMING = ['content-length', 'content-type', 'transfer-encoding', 'trailer']

/**
 * Whether bytes go under what hooks and `setHeaders` have made of the head as a stream does: Fastify corrects the head by bytes,
 * and of a stream believes it; what Node refuses is refused at another time.
 */
export function suitsBytes (reply: FastifyReply, { status, headers, late }: Head): boolean {
  const set: Record<string, unknown> = reply.getHeaders()
  const isSame = (name: string) => set[name] === (late[name] ?? headers[name])
  return reply.statusCode === status && FRAMING.every(isSame) && Object.keys(set).every(name => isSame(name) || isValid(name, set[name]))
}

function isValid (name: string, value: unknown): boolean {
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value as string)
    return true
  } catch {
    return false
  }
}

/** For a function of the application's, which may change it. */
export function copyOfStat (stat: Stats): Stats {
  const fields = Object.entries(stat).map(([name, value]: [string, unknown]) => [name, value instanceof Date ? new Date(value) : value])
  return Object.assign(Object.create(Object.getPrototypeOf(stat) as object) as Stats, Object.fromEntries(fields))
}

function vary (reply: FastifyReply): void {
  const value = reply.getHeader('vary')
  const names = value === undefined ? [] : [value].flat().map(String)
  if (names.join().split(',').some(name => /^(accept-encoding|\*)$/i.test(name.trim()))) return
  reply.header('vary', [...names, 'accept-encoding'].join(', '))
}
