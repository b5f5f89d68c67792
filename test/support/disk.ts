import { existsSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { run } from '../vm/run'

const CONFIG = '/sys/kernel/config'
/** Of the disk and its file system, in bytes. */
const BLOCK = 4096
const SECTOR = 512

export interface Disk {
  readonly folder: string
  /** Makes the block around a file's byte unreadable, and the kernel forget what it has of the file. */
  spoil: (path: string, offset: number) => Promise<void>
  /** Makes all blocks readable again. */
  repair: () => void
}

/** A disk in memory that can be told which of its blocks are bad (Documentation/block/null_blk.rst), with ext4 on it. */
export async function makeDisk (t: Tap.Test, megabytes: number): Promise<Disk> {
  await run('modprobe', ['null_blk', 'nr_devices=0'])
  if (!existsSync(join(CONFIG, 'nullb'))) await run('mount', ['-t', 'configfs', 'none', CONFIG])
  const device = mkdtempSync(join(CONFIG, 'nullb', 'ktls-'))
  const name = basename(device)
  const set = (setting: string, value: string | number) => writeFileSync(join(device, setting), String(value))
  for (const [setting, value] of [['size', megabytes], ['blocksize', BLOCK], ['memory_backed', 1], ['power', 1]] as const) set(setting, value)

  const folder = mkdtempSync(join(tmpdir(), 'fastify-ktls-disk-'))
  await run('mkfs.ext4', ['-q', `/dev/${name}`])
  await run('mount', [`/dev/${name}`, folder])
  freeAtOnce(t)
  t.teardown(async () => {
    await run('umount', [folder])
    for (const made of [folder, device]) rmdirSync(made)
  })

  let bad: string[] = []
  return {
    folder,
    spoil: async (path, offset) => {
      await run('sync', ['--file-system', path])
      const sector = await sectorOf(path, offset - offset % BLOCK)
      bad.push(`${sector}-${sector + BLOCK / SECTOR - 1}`)
      set('badblocks', `+${bad.at(-1)}`)
      // dd's way to have the kernel drop what it has cached of a file.
      await run('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none'])
    },
    repair: () => {
      for (const sectors of bad) set('badblocks', `-${sectors}`)
      bad = []
    }
  }
}

const DEFER = '/proc/sys/net/core/skb_defer_max'

/**
 * Else what a client has read stays for the processor that sent it to be freed, up to megabytes
 * and for as long as that one has nothing to do with the network (skb_attempt_defer_free() in
 * net/core/skbuff.c, Linux 5.19): pages of a file that went by sendfile(2), which then cannot be dropped.
 */
function freeAtOnce (t: Tap.Test): void {
  if (!existsSync(DEFER)) return
  const before = readFileSync(DEFER, 'latin1')
  writeFileSync(DEFER, '0')
  t.teardown(() => writeFileSync(DEFER, before))
}

async function sectorOf (path: string, offset: number): Promise<number> {
  const wanted = offset / SECTOR
  const extents = (await run('filefrag', ['-v', `-b${SECTOR}`, path])).matchAll(/^ *\d+: +(\d+)\.\. *(\d+): +(\d+)\.\./gm)
  for (const [, first, last, physical] of extents) {
    if (wanted >= Number(first) && wanted <= Number(last)) return Number(physical) + wanted - Number(first)
  }
  throw new Error(`${path} has no block at ${offset}`)
}
