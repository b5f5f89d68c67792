import { readFileSync } from 'node:fs'

/** Whether the running kernel offers kernel TLS to this process, by its own list. */
export function kernelHasTls (): boolean {
  return readFileSync('/proc/sys/net/ipv4/tcp_available_ulp', 'latin1').split(/\s+/).includes('tls')
}
