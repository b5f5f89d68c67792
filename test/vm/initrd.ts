import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheEntry } from './cache'
import { cpio, type CpioEntry } from './cpio'
import { INIT, START } from './init'
import type { Kernel } from './kernels'
import type { Tools } from './tools'

/**
 * Loaded in this order, each after what it needs. Names that a kernel does not have are built into it (crypto moved
 * to lib/crypto and into the kernel over the years); should one really be missing, a mount fails and says so.
 */
const BOOT_MODULES = [
  'virtio_pci', 'virtio_console', 'virtio_rng', 'virtio_net', '9pnet_virtio', '9p', 'overlay',
  'aesni_intel', 'ghash_clmulni_intel', 'chacha_x86_64', 'chacha20poly1305', 'gcm', 'ccm'
]

/** The initrd for a kernel, from the cache unless one of its parts changed. */
export async function initrd (kernel: Kernel, tools: Tools): Promise<string> {
  const modules = await bootModules(kernel)
  const key = createHash('sha256').update([INIT, START, tools.busybox, ...modules].join('\0')).digest('hex').slice(0, 16)
  const entry = await cacheEntry('initrd', `${kernel.release}-${key}`, async folder => {
    const loaded = modules.map(path => ({ path: `modules/${path.replace(/.*\//, '')}`, source: join(kernel.modules, path) }))
    const entries: CpioEntry[] = [
      ...['proc', 'dev', 'host', 'written', 'root', 'modules'].map(path => ({ path, content: { folder: true } as const })),
      { path: 'busybox', content: { file: await readFile(tools.busybox), mode: 0o755 } },
      { path: 'init', content: { file: Buffer.from(INIT), mode: 0o755 } },
      { path: 'start', content: { file: Buffer.from(START), mode: 0o644 } },
      { path: 'boot-modules', content: { file: Buffer.from(loaded.map(one => `/${one.path}\n`).join('')), mode: 0o644 } }
    ]
    for (const { path, source } of loaded) entries.push({ path, content: { file: await readFile(source), mode: 0o644 } })
    await writeFile(join(folder, 'initrd'), cpio(entries))
  })
  return join(entry, 'initrd')
}

/** Paths below the module tree, dependencies first (modules.dep(5) lists them in the reverse order of loading). */
async function bootModules (kernel: Kernel): Promise<string[]> {
  const dependencies = new Map<string, { path: string, needs: string[] }>()
  for (const line of (await readFile(join(kernel.modules, 'modules.dep'), 'utf8')).split('\n')) {
    const [path, rest] = line.split(':')
    if (path === undefined || rest === undefined) continue
    const name = path.replace(/.*\//, '').replace(/\.ko$/, '').replaceAll('-', '_')
    dependencies.set(name, { path, needs: rest.split(' ').filter(Boolean) })
  }
  const ordered = new Set<string>()
  for (const name of BOOT_MODULES) {
    const found = dependencies.get(name)
    if (found === undefined) continue
    for (const needed of [...found.needs].reverse()) ordered.add(needed)
    ordered.add(found.path)
  }
  return [...ordered]
}
