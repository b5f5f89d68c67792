import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../vm/run'
import type { TestFile } from './files'
import type { FuseMessage, FuseOptions, FuseOrder } from './fuse-child'

export interface SlowFolder {
  /** Any name in it is the file's, with pages in the cache of its own. */
  readonly folder: string
  /** How many reads are held back now. */
  held (): number
  /** Holds back the reads that come from then on, as from the beginning. */
  hold (): Promise<void>
  /** Has those that are held answered, and all that come. */
  release (): Promise<void>
  /** How many calls of close(2) have been held back. */
  closing (): number
  /** Holds back close(2) from then on, or no more. */
  holdCloses (hold: boolean): Promise<void>
}

/** Mounts a file system whose reads beyond an offset wait until they are released. Needs root. */
export async function makeSlowFolder (t: Tap.Test, { path }: TestFile, from: number): Promise<SlowFolder> {
  if (!existsSync('/dev/fuse')) await run('modprobe', ['fuse'])
  const folder = mkdtempSync(join(tmpdir(), 'fastify-ktls-fuse-'))
  // A process of its own: this one's threads wait for it.
  const child = fork(join(__dirname, 'fuse-child.js'), [JSON.stringify({ folder, path, from } satisfies FuseOptions)], {
    env: { ...process.env, NODE_OPTIONS: '' }
  })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    // With it go the reads that are held.
    child.kill('SIGKILL')
    await exited
    await run('umount', ['-l', folder])
    rmdirSync(folder)
  })
  let held = 0
  let closing = 0
  const obeyed: Array<() => void> = []
  child.on('message', (message: FuseMessage) => {
    if ('held' in message) held = message.held
    if ('closing' in message) closing = message.closing
    if ('obeyed' in message) obeyed.shift()!()
  })
  const order = (order: FuseOrder) => new Promise<void>(resolve => {
    obeyed.push(resolve)
    child.send(order)
  })
  const [first] = await Promise.race([once(child, 'message'), exited]) as [FuseMessage | number | null]
  if (first === null || typeof first === 'number') throw new Error('the file system could not be mounted')
  return {
    folder,
    held: () => held,
    hold: () => order({ reads: true }),
    release: () => order({ reads: false }),
    closing: () => closing,
    holdCloses: hold => order({ closes: hold })
  }
}
