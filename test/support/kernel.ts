import { readFileSync, readdirSync } from 'node:fs'

/** Sockets to which the kernel has given a software transmit key, since boot. */
export function kernelPromotions (): number {
  const match = /^TlsTxSw\s+(\d+)$/m.exec(readFileSync('/proc/net/tls_stat', 'latin1'))
  return Number(match![1])
}

/** The descriptors that this process has open. */
export function openDescriptors (): string[] {
  return readdirSync('/proc/self/fd').sort()
}
