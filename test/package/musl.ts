import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../support/files'
import { ROOT } from '../support/node'
import { Apt } from '../vm/apt'
import { freshEntry } from '../vm/cache'
import { run } from '../vm/run'

/** What an addon takes from others. */
interface Needed {
  readonly name: string
  /** As `GLIBC_2.28`; empty for N-API's. */
  readonly version: string
  readonly type: string
}

/** Weak references do without. */
export async function symbolsOf (addon: string): Promise<Needed[]> {
  const table = await run('readelf', ['--wide', '--dyn-syms', addon])
  return [...table.matchAll(/ (\w+) +GLOBAL +DEFAULT +UND ([^\s@]+)(?:@(\S+))?/g)]
    .map(([, type = '', name = '', version = '']) => ({ name, version, type }))
}

/** Days after which a newer musl is looked for. */
const MAX_AGE = 30

/** Debian 12's musl 1.2.3, which is older than that of the first Alpine with Node 20. */
function fetchMusl (): Promise<string> {
  return freshEntry('musl', MAX_AGE, offer => Apt.use([{ name: 'bookworm', archive: 'main' }], async apt => {
    const version = (await apt.candidate('musl'))?.version
    if (version === undefined) throw new Error('Debian 12 has no musl')
    return offer(version, folder => apt.unpack(['musl', 'musl-dev'], folder))
  }), () => {})
}

/**
 * What a program says that has musl's loader load the addon. Node and libstdc++, which no package has for musl, are
 * one empty library with the names that the addon takes from them; libc's must all be musl's own.
 */
export async function loadUnderMusl (t: Tap.Test, addon: string, needed: readonly Needed[]): Promise<string> {
  const root = await fetchMusl()
  const folder = makeFolder(t)
  const libraries = join(root, 'lib/x86_64-linux-musl')
  const archive = join(root, 'usr/lib/x86_64-linux-musl')

  const others = needed.filter(({ version }) => !version.startsWith('GLIBC_'))
  const assembly = others.map(({ name, type }) => type === 'TLS'
    ? `.section .tbss,"awT",@nobits\n.globl ${name}\n.type ${name},@object\n${name}: .zero 8\n`
    : `.text\n.globl ${name}\n.type ${name},@function\n${name}: ret\n`)
  writeFileSync(join(folder, 'others.s'), assembly.join(''))
  await run('gcc', ['-shared', '-nostdlib', '-Wl,-soname,libstdc++.so.6', '-o', join(folder, 'libstdc++.so.6'), join(folder, 'others.s')])

  const host = join(folder, 'host')
  await run('gcc', [
    '-nostdinc', '-nostdlib', '-fno-stack-protector', '-isystem', join(root, 'usr/include/x86_64-linux-musl'), '-o', host,
    join(archive, 'Scrt1.o'), join(archive, 'crti.o'), join(ROOT, 'test/package/musl_host.c'), join(libraries, 'libc.so'), join(archive, 'crtn.o')
  ])
  return run(join(libraries, 'libc.so'), ['--library-path', `${folder}:${libraries}`, host, addon])
}
