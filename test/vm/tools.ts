import { join } from 'node:path'
import { Apt } from './apt'
import { freshEntry, type Progress } from './cache'
import { run } from './run'

/** Days after which newer tools are looked for. */
const MAX_AGE = 30

type Tool = 'depmod' | 'qemu-system-x86_64' | 'xz' | 'zstd'

/** QEMU, a static busybox and what it takes to prepare a kernel, unpacked and not installed. */
export class Tools {
  private constructor (private readonly root: string) {}

  /**
   * From Debian 13 whatever the host is: its QEMU 10 executes AES instructions 2.5 times as fast as Debian 12's 7.2.
   * The packages come with their own C library and loader, so the host's do not matter.
   */
  static async get (onProgress: Progress): Promise<Tools> {
    const root = await freshEntry('tools', MAX_AGE, offer => Apt.use([{ name: 'trixie', archive: 'main' }], async apt => {
      const version = (await apt.candidate('qemu-system-x86'))?.version
      if (version === undefined) throw new Error('Debian 13 has no qemu-system-x86')
      return offer(version, async folder => {
        onProgress(`fetching QEMU ${version}`)
        await apt.unpackWithDependencies(['qemu-system-x86', 'busybox-static', 'kmod', 'xz-utils', 'zstd'], folder)
      })
    }), onProgress)
    return new Tools(root)
  }

  get busybox (): string {
    return join(this.root, 'usr/bin/busybox')
  }

  /** Folders with QEMU's firmware. */
  get firmware (): readonly string[] {
    return [join(this.root, 'usr/share/qemu'), join(this.root, 'usr/share/seabios')]
  }

  /** The command line of a program of these packages, run by their own loader (ld.so(8)). */
  command (name: Tool, args: readonly string[]): [string, ...string[]] {
    const libraries = join(this.root, 'usr/lib/x86_64-linux-gnu')
    const program = join(this.root, name === 'depmod' ? 'usr/sbin' : 'usr/bin', name)
    return [join(libraries, 'ld-linux-x86-64.so.2'), '--library-path', libraries, '--argv0', name, program, ...args]
  }

  async run (name: Tool, args: readonly string[]): Promise<string> {
    const [file, ...rest] = this.command(name, args)
    return run(file, rest)
  }
}
