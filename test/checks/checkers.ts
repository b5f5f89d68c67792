import { join } from 'node:path'
import { Apt } from '../vm/apt'
import { freshEntry } from '../vm/cache'
import { run } from '../vm/run'

/** Days after which newer ones are looked for. */
const MAX_AGE = 30

/** With the libraries that they need; all that they depend on would be a whole compiler more, four times as much. */
const PACKAGES = [
  'clang-format-19', 'clang-tidy-19', 'libclang-common-19-dev', 'libclang-cpp19', 'libllvm19', 'shellcheck',
  'libbsd0', 'libc6', 'libedit2', 'libffi8', 'libgcc-s1', 'libgmp10', 'liblzma5', 'libmd0', 'libstdc++6', 'libtinfo6', 'libxml2',
  'libz3-4', 'libzstd1', 'zlib1g'
]

const PROGRAMS = {
  'clang-format': 'usr/lib/llvm-19/bin/clang-format',
  'clang-tidy': 'usr/lib/llvm-19/bin/clang-tidy',
  shellcheck: 'usr/bin/shellcheck'
}

/** Debian 13's, unpacked and not installed: of one version wherever the tests run, since another one finds other things. */
export class Checkers {
  private constructor (private readonly root: string) {}

  static async get (): Promise<Checkers> {
    return new Checkers(await freshEntry('checkers', MAX_AGE, offer => Apt.use([{ name: 'trixie', archive: 'main' }], async apt => {
      const version = (await apt.candidate('clang-tidy-19'))?.version
      if (version === undefined) throw new Error('Debian 13 has no clang-tidy-19')
      return offer(version, folder => apt.unpack(PACKAGES, folder))
    }), () => {}))
  }

  /** The headers that come with clang, which it finds beside itself where no other loader starts it. */
  get resources (): string {
    return join(this.root, 'usr/lib/llvm-19/lib/clang/19')
  }

  /** What one prints, run by its packages' own loader and C library (ld.so(8)). Rejects with that where it finds something. */
  run (name: keyof typeof PROGRAMS, args: readonly string[], cwd: string): Promise<string> {
    const libraries = join(this.root, 'usr/lib/x86_64-linux-gnu')
    const command = [join(libraries, 'ld-linux-x86-64.so.2'), '--library-path', libraries, join(this.root, PROGRAMS[name]), ...args]
    // They write what they find to either; an error of run() has one.
    return run('sh', ['-c', 'exec "$@" 2>&1', 'sh', ...command], { cwd })
  }
}
