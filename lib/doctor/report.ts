import type { Support } from '../../types/index'
import type { Finding, Level } from './findings'

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
