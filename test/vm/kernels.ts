import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Apt, type Suite } from './apt'
import { freshEntry, type Offer, type Progress } from './cache'
import type { Tools } from './tools'

export const KERNEL_NAMES = ['6.1', '6.12', 'newest'] as const

export type KernelName = typeof KERNEL_NAMES[number]

export interface Kernel {
  /** What `uname -r` says in the guest. */
  readonly release: string
  /** The uncompressed kernel, an ELF file with an entry for PVH. */
  readonly image: string
  /** The folder that modprobe reads, `/lib/modules/RELEASE`. */
  readonly modules: string
}

const ZSTD_MAGIC = 0xfd2fb528

/** Days after which a newer kernel is looked for. */
const MAX_AGE = 14

const bookwormSecurity: Suite = { name: 'bookworm-security', archive: 'security' }
const trixie: Suite = { name: 'trixie', archive: 'main' }

/** Where each kernel comes from; the first that has it. The packages are Debian's meta-packages for the latest build. */
const origins: Readonly<Record<KernelName, ReadonlyArray<{ meta: string, suites: readonly Suite[] }>>> = {
  6.1: [{ meta: 'linux-image-amd64', suites: [{ name: 'bookworm', archive: 'main' }, bookwormSecurity] }],
  6.12: [
    { meta: 'linux-image-6.12-amd64', suites: [bookwormSecurity] },
    { meta: 'linux-image-amd64', suites: [trixie] }
  ],
  newest: [{ meta: 'linux-image-amd64', suites: [{ name: 'trixie-backports', archive: 'main' }] }]
}

/** Only these parts of the module tree are kept: the rest, nine tenths, drives hardware that the guest does not have. */
const KEPT = /\/kernel\/(arch|block|crypto|lib|net|fs|drivers\/(block|char|virtio|net\/[^/]+$))/

export async function kernel (name: KernelName, tools: Tools, onProgress: Progress): Promise<Kernel> {
  const entry = await freshEntry(`kernel-${name}`, MAX_AGE, offer => lookUp(name, offer, tools, onProgress), onProgress)
  const release = (await readdir(join(entry, 'modules')))[0]
  if (release === undefined) throw new Error(`${entry} holds no kernel modules: remove it`)
  return { release, image: join(entry, 'vmlinux'), modules: join(entry, 'modules', release) }
}

async function lookUp (name: KernelName, offer: Offer, tools: Tools, onProgress: Progress): Promise<string> {
  for (const { meta, suites } of origins[name]) {
    const entry = await Apt.use(suites, async apt => {
      const candidate = await apt.candidate(meta)
      if (candidate === undefined) return undefined
      return offer(candidate.version, async folder => {
        onProgress(`fetching kernel ${name} (${candidate.version})`)
        const packages = join(folder, 'packages')
        await mkdir(packages)
        await apt.unpack(await parts(apt, candidate.depends), packages)
        await arrange(packages, folder, tools)
        await rm(packages, { recursive: true })
      })
    })
    if (entry !== undefined) return entry
  }
  throw new Error(`none of ${origins[name].map(origin => origin.meta).join(', ')} is to be had for kernel ${name}`)
}

/** The versioned packages that hold a kernel's files: one up to 6.12, four from 7.0 on. */
async function parts (apt: Apt, names: readonly string[]): Promise<string[]> {
  const found = new Set<string>()
  const visit = async (name: string): Promise<void> => {
    if (found.has(name) || !/^linux-(image|modules|binary|base)-\d/.test(name)) return
    found.add(name)
    for (const needed of (await apt.candidate(name))?.depends ?? []) await visit(needed)
  }
  for (const name of names) await visit(name)
  return [...found]
}

/** Brings both layouts (/boot and /lib, or all under /usr/lib/modules) into one. */
async function arrange (packages: string, folder: string, tools: Tools): Promise<void> {
  const files = await readdir(packages, { recursive: true })
  const image = files.find(file => /(^|\/)vmlinuz[^/]*$/.test(file))
  const modules = files.find(file => /lib\/modules\/[^/]+$/.test(file))
  if (image === undefined || modules === undefined) throw new Error(`no kernel in the packages: ${files.slice(0, 20).join(' ')}`)

  const release = basename(modules)
  const kept = files.filter(file => file.startsWith(`${modules}/`) &&
    (KEPT.test(file) || /\/modules\.(builtin|builtin\.modinfo|order)$/.test(file)))
  for (const file of kept) {
    if (!/\.ko(\.\w+)?$|\/modules\.[^/]+$/.test(file)) continue
    const target = join(folder, 'modules', release, file.slice(modules.length + 1))
    await mkdir(dirname(target), { recursive: true })
    await rename(join(packages, file), target)
  }
  await writeFile(join(folder, 'vmlinux'), await unpackImage(join(packages, image), tools))
  await decompressModules(join(folder, 'modules', release), tools)
  // depmod wants the tree at lib/modules below its base.
  await mkdir(join(packages, 'base', 'lib'), { recursive: true })
  await symlink(join(folder, 'modules'), join(packages, 'base', 'lib', 'modules'))
  await tools.run('depmod', ['--basedir', join(packages, 'base'), release])
}

/**
 * The ELF file inside a bzImage, which QEMU starts by its PVH entry: unpacking itself under emulation takes a kernel
 * one to three seconds (6.1, by xz, longest). Offsets: Documentation/arch/x86/boot.rst, setup_sects, payload_offset
 * and payload_length; the payload's last four bytes are its unpacked size.
 */
async function unpackImage (image: string, tools: Tools): Promise<Buffer> {
  const bytes = await readFile(image)
  const start = ((bytes[0x1f1] ?? 4) + 1) * 512 + bytes.readUInt32LE(0x248)
  const payload = bytes.subarray(start, start + bytes.readUInt32LE(0x24c) - 4)
  const packed = `${image}.${payload.readUInt32LE(0) === ZSTD_MAGIC ? 'zst' : 'xz'}`
  await writeFile(packed, payload)
  await rm(image)
  await decompress([packed], tools)
  return readFile(image)
}

/** Decompressed here once: in the guest, under emulation, it would cost a second at each boot. */
async function decompressModules (folder: string, tools: Tools): Promise<void> {
  const files = (await readdir(folder, { recursive: true })).map(file => join(folder, file))
  for (const suffix of ['.ko.xz', '.ko.zst']) {
    const packed = files.filter(file => file.endsWith(suffix))
    if (packed.length > 0) await decompress(packed, tools)
  }
}

/** Replaces files, all of them .xz or all .zst, by what they hold. */
async function decompress (files: readonly string[], tools: Tools): Promise<void> {
  const zstd = files[0]?.endsWith('.zst') === true
  await tools.run(zstd ? 'zstd' : 'xz', ['--decompress', '--quiet', ...(zstd ? ['--rm'] : []), ...files])
}
