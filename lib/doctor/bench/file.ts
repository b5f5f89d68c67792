import { createHash, randomBytes } from 'node:crypto'
import { closeSync, createReadStream, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

/** Bytes. */
const SIZE = 100_000_000
const BLOCK = 1_000_000

/**
 * A file of 100 MB in the working directory, removed when the process ends: the system's
 * folder for such files is often a tmpfs, and few serve from one. Throws what the file
 * system does.
 */
export function temporaryFile (): string {
  const folder = mkdtempSync(join(process.cwd(), '.fastify-ktls-'))
  process.once('exit', () => { rmSync(folder, { recursive: true, force: true }) })
  const path = join(folder, '100MB.bin')
  const block = randomBytes(BLOCK)
  const fd = openSync(path, 'w')
  for (let written = 0; written < SIZE;) written += writeSync(fd, block, 0, Math.min(BLOCK, SIZE - written))
  closeSync(fd)
  return path
}

/** Bytes of a file that can be measured with; throws an error that says why one cannot. */
export function sizeOf (path: string): number {
  const stats = statSync(path)
  if (!stats.isFile() || stats.size === 0) throw new Error(`${path} is not a regular file with content`)
  return stats.size
}

/** Reads the whole file, so that afterwards the page cache has it where it fits. */
export async function sha256Of (path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
