import { readFileSync, readdirSync } from 'node:fs'

/** The ids of the QEMU processes that forward a port of 127.0.0.1. */
export function qemuForwarding (port: string): string[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name) && commandLine(name).includes(`hostfwd=tcp:127.0.0.1:${port}-`))
}

/** Empty for a process that has just ended. */
function commandLine (pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}
