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
  if (available) return 'Kernel TLS is available. What it gains here: npx fastify-ktls bench [FILE]'
  if (backends.includes('threads')) return `Kernel TLS is not available (${reason!}), so file replies go by sender threads. What they gain here: npx fastify-ktls bench [FILE]`
  return `Nothing can be offloaded (${reason!}). Nothing breaks: replies go the ordinary way, encrypted by OpenSSL.`
}
