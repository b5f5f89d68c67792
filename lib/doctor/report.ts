import type { Support } from '../../types/index'
import type { Facts } from './facts'
import type { Finding, FindingCode, Level } from './findings'
import { VERSION } from './version'

/**
 * What `npx fastify-ktls --json` writes to stdout, as one object. Its names and codes stay;
 * others may come.
 */
export interface Report {
  /** Of fastify-ktls. */
  readonly version: string
  /** Who encrypts file replies over HTTPS here; null: nobody but Node, and the exit status is 1. */
  readonly offload: 'kernel' | 'threads' | null
  readonly facts: Facts
  /** In the order in which they are shown without `--json`. */
  readonly findings: readonly ReportedFinding[]
}

export interface ReportedFinding {
  readonly code: FindingCode
  readonly level: Level
  /** What was found, and why it is so, for people: the words may change. */
  readonly text: string
  /** What helps, for people; null where there is nothing to do. */
  readonly remedy: string | null
}

export function reportOf (facts: Facts, findings: readonly Finding[]): Report {
  const { available, backends } = facts.support
  return {
    version: VERSION,
    offload: available ? 'kernel' : backends.includes('threads') ? 'threads' : null,
    facts,
    findings: findings.map(({ code, level, subject, state, cause, remedy = null }) => ({
      code,
      level,
      text: `${subject}: ${state}${cause === undefined ? '' : `; ${cause}`}`,
      remedy
    }))
  }
}

const LABELS: Readonly<Record<Level, string>> = { ok: 'ok  ', warn: 'warn', fail: 'FAIL', unknown: '?   ' }

/** The findings as a table, cause and remedy below each that has them. */
export function formatReport (findings: readonly Finding[], support: Support): string {
  const width = Math.max(...findings.map(({ subject }) => subject.length))
  const indent = ' '.repeat(6 + width + 2)
  const lines = findings.flatMap(({ level, subject, state, cause, remedy }) => [
    `${LABELS[level]}  ${subject.padEnd(width)}  ${state}`,
    ...(cause === undefined ? [] : [`${indent}cause: ${cause}`]),
    ...(remedy === undefined ? [] : [`${indent}remedy: ${remedy}`])
  ])
  return [...lines, '', conclusion(support)].join('\n')
}

function conclusion ({ backends, available, reason }: Support): string {
  if (backends.length === 0) return `Nothing can be offloaded (${reason!}). Nothing breaks: replies go the ordinary way, encrypted by OpenSSL.`
  const who = available ? 'kernel TLS' : `sender threads, as kernel TLS is not available (${reason!})`
  return `File replies over HTTPS go by ${who}; over plain HTTP by sendfile(2), on any kernel.\nWhat it gains here: npx fastify-ktls bench [FILE]`
}
