/*
 * The fault injector (faults.cc), which the addon here has in front of the
 * kernel or of its double.
 */
import '../double/install'
import { constants } from 'node:os'
import { loadBinding } from '../../lib/binding'
import type { Binding } from '../../lib/binding'

/**
 * The calls of native/kernel/syscalls.h by what they are called for, and those of
 * native/openssl/openssl.h that can fail, in the order of faults.cc.
 */
const POINTS = [
  'setsockopt TCP_ULP', 'setsockopt TLS_TX', 'getsockopt TCP_INFO', 'getsockopt TLS_TX', 'getsockopt SO_ERROR', 'getsockopt SO_MEMINFO',
  'sendmsg of data', 'sendmsg of a record', 'recv', 'sendfile', 'shutdown', 'close', 'duplicate', 'SIOCOUTQ', 'epoll_ctl', 'cachestat',
  'preadv2', 'preadv2 that waits', 'preadv2 of a piece', 'preadv2 of a piece that waits', 'poll', 'tls_stat', 'statx',
  'BIO_new', 'EVP_CIPHER_CTX_new', 'EVP_CIPHER_CTX_ctrl', 'EVP_CIPHER_fetch', 'EVP_EncryptInit_ex', 'EVP_EncryptUpdate', 'EVP_EncryptFinal_ex',
  'EVP_KDF_fetch', 'EVP_KDF_CTX_new', 'EVP_KDF_derive', 'RAND_bytes'
] as const

export type Point = typeof POINTS[number]

/**
 * What becomes of a call: its errno; fewer bytes taken or given (of cachestat: its answer); the
 * connection is over; OpenSSL refuses, and leaves an entry in its error queue.
 */
export type Effect = keyof typeof constants.errno | `at most ${number}` | 'half' | 'gone' | 'refused'

export interface Fault {
  readonly point: Point
  readonly effect: Effect
  /** Which call, from 1. */
  readonly call: number
  /** How many calls from that one on; one unless given. */
  readonly times?: number
}

/** In the order of faults.cc. */
const ACTIONS = ['error', 'take', 'half', 'gone', 'refuse'] as const

interface Injector {
  arm (faults: ReadonlyArray<readonly [point: number, first: number, last: number, action: number, value: number]>): void
  calls (): number[]
  fired (): number[]
}

const loaded = loadBinding()
if (!('binding' in loaded)) throw new Error(loaded.detail)
export const binding = loaded.binding as Binding & { readonly faults: Injector }

/** These faults and no others; counts anew. */
export function arm (...faults: readonly Fault[]): void {
  binding.faults.arm(faults.map(({ point, effect, call, times = 1 }) => {
    const [action, value] = encode(effect)
    return [POINTS.indexOf(point), call, Math.min(call + times - 1, 2 ** 32 - 1), ACTIONS.indexOf(action), value]
  }))
}

function encode (effect: Effect): [action: typeof ACTIONS[number], value: number] {
  if (effect === 'refused') return ['refuse', 0]
  if (effect === 'half' || effect === 'gone') return [effect, 0]
  if (effect.startsWith('at most ')) return ['take', Number(effect.slice('at most '.length))]
  return ['error', constants.errno[effect as keyof typeof constants.errno]]
}

export type Counts = Readonly<Record<Point, number>>

/** Calls since {@link arm}. */
export function calls (): Counts {
  return byPoint(binding.faults.calls())
}

/** Those of them that met a fault. */
export function fired (): Counts {
  return byPoint(binding.faults.fired())
}

function byPoint (counts: readonly number[]): Counts {
  return Object.fromEntries(POINTS.map((point, index) => [point, counts[index]])) as Record<Point, number>
}

export function total (counts: Counts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}
