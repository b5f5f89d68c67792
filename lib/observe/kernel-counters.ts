import { readFileSync } from 'node:fs'
import type { KernelCounters } from '../../types/index'

/**
 * The kernel's own counters of its transmit side (Documentation/networking/tls.rst,
 * Statistics), for the network namespace of this process; null where the file is
 * missing, as without the module `tls`.
 */
export function kernelCounters (path = '/proc/net/tls_stat'): KernelCounters | null {
  try {
    return parseCounters(readFileSync(path, 'latin1'))
  } catch {
    return null
  }
}

/** Of the lines "TlsTxSw  12"; a row that this kernel does not have counts as 0. */
export function parseCounters (text: string): KernelCounters {
  const rows = new Map(text.split('\n').map(line => {
    const [name = '', value] = line.split(/\s+/)
    return [name, Number(value)]
  }))
  const row = (name: string) => rows.get(name) ?? 0
  return {
    open: { software: row('TlsCurrTxSw'), device: row('TlsCurrTxDevice') },
    promoted: { software: row('TlsTxSw'), device: row('TlsTxDevice') },
    keys: { updated: row('TlsTxRekeyOk'), failed: row('TlsTxRekeyError') }
  }
}
