import { readFileSync, readdirSync } from 'node:fs'
import { BACKEND, statsOf } from './backend'
import { servers } from './server'

/**
 * Connections that the backend under test has got so far. Of the kernel's it is the kernel that
 * tells: the sockets that were given a software transmit key since boot. The host double and the
 * threads have no such counter: there the plugin's own, of this backend, stands in, with those
 * `elsewhere`, that other threads and processes tell of.
 */
export function countPromotions (elsewhere = 0): number {
  if (BACKEND !== 'kernel' || usesDouble()) return elsewhere + servers.reduce((sum, app) => sum + (app.ktls === undefined ? 0 : statsOf(app).connections.promoted), 0)
  const match = /^TlsTxSw\s+(\d+)$/m.exec(readFileSync('/proc/net/tls_stat', 'latin1'))
  return Number(match![1])
}

/** Set by run/backend. */
export function usesDouble (): boolean {
  return process.env.KTLS_TEST_DOUBLE === '1'
}

/** The descriptors that this process has open. */
export function openDescriptors (): string[] {
  return readdirSync('/proc/self/fd').sort()
}
