import { join } from 'node:path'
import { Apt } from '../../test/vm/apt'
import { freshEntry } from '../../test/vm/cache'
import type { Progress } from '../../test/vm/cache'

/** The processors that prebuilt addons are for, by Node's names. */
export const ARCHES = ['x64', 'arm64'] as const

export type Arch = typeof ARCHES[number]

/** Days after which newer packages are looked for. */
const MAX_AGE = 30

const COMPILERS: Readonly<Record<Arch, string>> = { x64: 'x86_64-linux-gnu-g++', arm64: 'aarch64-linux-gnu-g++' }

/** Debian 12's g++ for each processor, unpacked and not installed, so that it is the same on every machine. */
export class Compilers {
  private constructor (private readonly root: string) {}

  static async get (onProgress: Progress): Promise<Compilers> {
    const root = await freshEntry('compilers', MAX_AGE, offer => Apt.use([{ name: 'bookworm', archive: 'main' }], async apt => {
      const version = (await apt.candidate('g++-12'))?.version
      if (version === undefined) throw new Error('Debian 12 has no g++-12')
      return offer(version, async folder => {
        onProgress(`fetching g++ ${version}`)
        await apt.unpackWithDependencies(['g++', 'g++-aarch64-linux-gnu'], folder)
      })
    }), onProgress)
    return new Compilers(root)
  }

  /** Where programs of arm64 find their loader and libraries. */
  get arm64 (): string {
    return join(this.root, 'usr/aarch64-linux-gnu')
  }

  /** The command that compiles and links, with the libraries and assembler that it needs itself. */
  command (arch: Arch): string {
    const bin = join(this.root, 'usr/bin')
    // A cross compiler has its system's headers in a folder of its own.
    const sysroot = arch === 'x64' ? ` --sysroot=${this.root}` : ''
    return `env LD_LIBRARY_PATH=${join(this.root, 'usr/lib/x86_64-linux-gnu')} PATH=${bin}:${process.env.PATH ?? ''} ${join(bin, COMPILERS[arch])}${sysroot}`
  }
}
