import type { FastifyRequest } from 'fastify'

/** Characters of a question that is remembered: clients choose them. */
const MAX_KEY = 512

/** What @fastify/send looks at beside the method and the range; the last one only with another. */
const CONDITIONS = ['if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'if-range', 'cache-control'] as const

/** One range of bytes, as most clients ask for (RFC 9110, section 14.1.2). */
const RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/

/** Of a file: from the first byte to the last one. */
export interface Part {
  readonly start: number
  readonly end: number
}

/** All that an answer depends on beside the files. */
export interface Question {
  /** Of the same questions. One for a part has that of the whole file. */
  readonly key: string
  /** By which a part is asked for. */
  readonly range: string | undefined
}

/** A request for `name`; undefined where it is too long to be remembered. */
export function questionOf (request: FastifyRequest, name: string, varies: boolean): Question | undefined {
  const { method, headers } = request.raw
  const conditions = CONDITIONS.filter(header => headers[header] !== undefined)
  if (conditions.length === 1 && conditions[0] === 'cache-control') conditions.pop()
  let key = method === 'HEAD' ? `HEAD ${name}` : name
  for (const header of conditions) key += `\n${header}: ${headers[header]}`
  if (varies) key += `\naccept-encoding: ${request.headers['accept-encoding']}`
  let { range } = headers
  if (range !== undefined && (method === 'HEAD' || conditions.length > 0 || !RANGE.test(range))) {
    key += `\nrange: ${range}`
    range = undefined
  }
  return key.length > MAX_KEY ? undefined : { key, range }
}

/** What a range is of a file of so many bytes; undefined where it is nothing. */
export function partOf (range: string, size: number): Part | undefined {
  const [, first, last] = RANGE.exec(range)!
  const start = first === '' ? size - Number(last) : Number(first)
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1)
  return start < 0 || start > end ? undefined : { start, end }
}
