import { randomBytes } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { WrongArguments } from '../arguments'
import { OutOfTime } from './time'

/** Bytes. */
const SIZE = 100_000_000
const BLOCK = 1_000_000

/**
 * Bytes. Of smaller files the request costs more than the body, and one server measured
 * twice differs from itself by as much as from another. On a busy machine of two processors
 * eight comparisons of a second and a half each had these ratios of processor time, of
 * Fastify's default to itself and of sender threads to it: with 300 KB 0.96 to 1.41, and 0.52
 * to 1.13; with 1 MB 0.78 to 1.24, and 0.41 to 0.75.
 */
export const SMALLEST = 1_000_000

/**
 * A file of 100 MB in the working directory, removed when the process ends: the system's
 * folder for such files is often a tmpfs, and few serve from one. Rejects with what the
 * file system says, and where it is not written when the signal is aborted.
 */
export async function temporaryFile (signal: AbortSignal): Promise<string> {
  const folder = mkdtempSync(join(process.cwd(), '.fastify-ktls-'))
  process.once('exit', () => { rmSync(folder, { recursive: true, force: true }) })
  const path = join(folder, '100MB.bin')
  const block = randomBytes(BLOCK)
  const file = await open(path, 'wx')
  try {
    for (let written = 0; written < SIZE; written += BLOCK) {
      if (signal.aborted) throw new OutOfTime('a file of 100 MB was written')
      await file.writeFile(block)
    }
  } finally {
    await file.close()
  }
  return path
}

/** Bytes of a file that can be measured with; throws `WrongArguments` with what is wrong with another one. */
export function sizeOf (path: string): number {
  const stats = statsOf(path)
  if (!stats.isFile()) throw new WrongArguments(`${path} is not a regular file`)
  if (stats.size < SMALLEST) {
    throw new WrongArguments(`${path} has ${stats.size} bytes, and with fewer than ${SMALLEST} chance decides more than who encrypts: take a larger one`)
  }
  return stats.size
}

function statsOf (path: string): Stats {
  try {
    closeSync(openSync(path, 'r'))
    return statSync(path)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new WrongArguments(code === 'ENOENT' ? `${path} is not there` : `${path} cannot be read: ${message}`)
  }
}

/** Reads the file until the signal is aborted: the page cache then has what was read, where it fits. */
export async function readThrough (path: string, signal: AbortSignal): Promise<void> {
  const file = await open(path)
  try {
    const block = Buffer.alloc(BLOCK)
    while (!signal.aborted && (await file.read(block)).bytesRead > 0);
  } finally {
    await file.close()
  }
}
