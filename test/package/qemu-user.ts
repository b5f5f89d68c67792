import { join } from 'node:path'
import { Apt } from '../vm/apt'
import { freshEntry } from '../vm/cache'

/** Days after which a newer QEMU is looked for. */
const MAX_AGE = 30

/** The program that runs those of arm64, with system calls by this kernel. */
export async function qemuArm64 (): Promise<string> {
  const root = await freshEntry('qemu-user', MAX_AGE, offer => Apt.use([{ name: 'bookworm', archive: 'main' }], async apt => {
    const version = (await apt.candidate('qemu-user-static'))?.version
    if (version === undefined) throw new Error('Debian 12 has no qemu-user-static')
    return offer(version, folder => apt.unpack(['qemu-user-static'], folder))
  }), () => {})
  return join(root, 'usr/bin/qemu-aarch64-static')
}
