import type { Support } from '../../types/index'
import { formatVersion, isSince } from '../machine/kernel-version'
import { explainMissingModule } from '../machine/tls-module'
import type { Facts } from './facts'
import { possibleFlaws } from './kernel-versions'

/** `fail`: nothing is offloaded because of it; `warn`: offload, by threads or with less; `unknown`: could not be looked at. */
export type Level = 'ok' | 'warn' | 'fail' | 'unknown'

/** What was found, for programs: these names stay. */
export type FindingCode =
  | 'system-ok' | 'system-not-linux'
  | 'runtime-ok' | 'runtime-too-old'
  | 'addon-ok' | 'addon-missing' | 'openssl-missing'
  | 'module-ok' | 'module-not-loaded' | 'module-missing' | 'module-unknown'
  | 'kernel-refused'
  | 'ciphers-ok' | 'ciphers-missing' | 'ciphers-unknown'
  | 'rekey-ok' | 'rekey-missing' | 'rekey-unknown'
  | 'since-boot'
  /** A flaw of kernel TLS that this kernel may be open to. */
  | `CVE-${string}`

export interface Finding {
  readonly code: FindingCode
  readonly level: Level
  readonly subject: string
  readonly state: string
  readonly cause?: string
  readonly remedy?: string
}

/** What the machine can do; where it cannot, why, and what helps. */
export function examine (facts: Facts): Finding[] {
  const { platform, upstream, support } = facts
  const findings = [systemOf(facts), runtimeOf(facts)]
  if (platform !== 'linux') return findings
  findings.push(addonOf(support), moduleOf(facts))
  const refusal = refusalOf(facts)
  if (refusal !== undefined) findings.push(refusal)
  return [...findings, ciphersOf(support), rekeyOf(support), ...flawsOf(upstream), ...countersOf(facts)]
}

function systemOf ({ platform, arch, kernel, upstream, distribution, container }: Facts): Finding {
  const subject = 'system'
  if (platform !== 'linux') {
    return {
      code: 'system-not-linux',
      level: 'fail',
      subject,
      state: `${platform}, ${arch}`,
      cause: 'kernel TLS is a feature of Linux',
      remedy: 'nothing here, where replies go the ordinary way; deploy on Linux'
    }
  }
  const parts = [`Linux ${kernel}${kernel.startsWith(upstream) ? '' : ` (${upstream})`}`, distribution, arch, container === null ? null : `in a container (${container})`]
  return { code: 'system-ok', level: 'ok', subject, state: parts.filter(part => part !== null).join(', ') }
}

const OLDEST_NODE = 20

function runtimeOf ({ node, openssl }: Facts): Finding {
  const subject = 'runtime'
  const state = `Node ${node}, ${openssl === null ? 'without OpenSSL' : `OpenSSL ${openssl}`}`
  if (Number.parseInt(node) >= OLDEST_NODE) return { code: 'runtime-ok', level: 'ok', subject, state }
  return { code: 'runtime-too-old', level: 'fail', subject, state, cause: `fastify-ktls is made for Node ${OLDEST_NODE} and later`, remedy: `use Node ${OLDEST_NODE} or later` }
}

function addonOf ({ reason, detail }: Support): Finding {
  const subject = 'addon'
  if (reason !== 'addon-missing' && reason !== 'openssl-missing') return { code: 'addon-ok', level: 'ok', subject, state: 'loaded' }
  return { code: reason, level: 'fail', subject, state: reason === 'addon-missing' ? 'missing' : 'of no use in this runtime', ...splitDetail(detail!) }
}

/** The details of `support` end with the remedy, after a semicolon. */
export function splitDetail (detail: string): { readonly cause: string, readonly remedy?: string } {
  const end = detail.lastIndexOf('; ')
  return end < 0 ? { cause: detail } : { cause: detail.slice(0, end), remedy: detail.slice(end + 2) }
}

function moduleOf ({ module, container, kernel, support }: Facts): Finding {
  const subject = 'module tls'
  // What the probe has seen is worth more than what files say.
  if (module === 'loaded' || support.available) return { code: 'module-ok', level: 'ok', subject, state: 'loaded' }
  if (module === 'unknown' && support.reason !== 'kernel-module-missing') {
    // A network namespace of its own hides tcp_available_ulp.
    return { code: 'module-unknown', level: 'unknown', subject, state: support.reason === 'kernel-refused' ? 'cannot be seen from here' : 'unknown until the addon loads' }
  }
  const explanation = explainMissingModule({ module, container, kernel })
  return { code: explanation.state === 'missing' ? 'module-missing' : 'module-not-loaded', level: levelOfAbsence(support), subject, ...explanation }
}

/** Of kernel TLS: sender threads can take its place. */
function levelOfAbsence ({ backends }: Support): Level {
  return backends.length > 0 ? 'warn' : 'fail'
}

function refusalOf ({ support }: Facts): Finding | undefined {
  const { reason, detail } = support
  if (reason !== 'kernel-refused') return undefined
  return { code: reason, level: levelOfAbsence(support), subject: 'probe', state: 'refused', ...splitDetail(detail!) }
}

function ciphersOf ({ available, versions }: Support): Finding {
  const subject = 'ciphers'
  if (!available) return { code: 'ciphers-unknown', level: 'unknown', subject, state: 'not known while kernel TLS is unavailable' }
  const all = Object.entries(versions).flatMap(([version, ciphers]) =>
    Object.entries(ciphers).map(([cipher, can]) => ({ name: `${version} ${cipher}`, can })))
  const missing = all.filter(({ can }) => !can).map(({ name }) => name)
  if (missing.length === 0) return { code: 'ciphers-ok', level: 'ok', subject, state: 'AES-128-GCM, AES-256-GCM and ChaCha20-Poly1305 with TLS 1.2 and 1.3' }
  return {
    code: 'ciphers-missing',
    level: 'warn',
    subject,
    state: `without ${missing.join(', ')}`,
    cause: 'TLS 1.3 came with Linux 5.1, ChaCha20-Poly1305 with 5.11, and each needs its crypto module',
    remedy: 'Linux 5.11 or later; until then connections with these go by sender threads'
  }
}

function rekeyOf ({ available, rekey, kernel }: Support): Finding {
  const subject = 'key updates'
  if (available && rekey) return { code: 'rekey-ok', level: 'ok', subject, state: 'the kernel can change the transmit key' }
  if (!available && isSince(kernel, 6, 14)) return { code: 'rekey-unknown', level: 'unknown', subject, state: 'not known while kernel TLS is unavailable; Linux 6.14 and later can' }
  const refused = isSince(kernel, 6, 14)
  return {
    code: 'rekey-missing',
    level: 'warn',
    subject,
    state: 'the kernel cannot change the transmit key',
    cause: refused ? 'it refused a second key in the probe' : `Linux ${kernel} is older than 6.14`,
    remedy: `${refused ? 'sender threads can, by the option "backends" without "kernel"' : 'Linux 6.14 or later'}; until then a connection by the kernel whose client asks for a new key ends after the reply under way`
  }
}

function flawsOf (upstream: string): Finding[] {
  return possibleFlaws(upstream).map(({ id, summary, fixed }) => ({
    code: id,
    level: 'warn',
    subject: id,
    state: 'this kernel may be open to it',
    cause: `${summary}; fixed in Linux ${fixed.map(formatVersion).join(', ')}`,
    remedy: 'distributions backport fixes and keep the version: ask their security tracker; else a newer kernel'
  }))
}

function countersOf ({ counters }: Facts): Finding[] {
  if (counters === null) return []
  const { software, device } = counters.promoted
  return [{ code: 'since-boot', level: 'ok', subject: 'since boot', state: `${software} sockets encrypted by the kernel, ${device} by a network card (all programs in this network namespace, probes included)` }]
}
