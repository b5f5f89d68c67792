import { readFileSync, readdirSync } from 'node:fs'
import { servers } from './server'

/**
 * Sockets to which the kernel has given a software transmit key, since boot.
 * The host double has no such counter: there the plugin's own stands in, with
 * those `elsewhere`, that other threads and processes tell of.
 */
export function kernelPromotions (elsewhere = 0): number {
  if (usesDouble()) return elsewhere + servers.reduce((sum, { ktls }) => sum + (ktls?.stats().connections.promoted ?? 0), 0)
  const match = /^TlsTxSw\s+(\d+)$/m.exec(readFileSync('/proc/net/tls_stat', 'latin1'))
  return Number(match![1])
}

/** Set by kernel/run.ts. */
export function usesDouble (): boolean {
  return process.env.KTLS_TEST_DOUBLE === '1'
}

/** The descriptors that this process has open. */
export function openDescriptors (): string[] {
  return readdirSync('/proc/self/fd').sort()
}
