import { createCipheriv, createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TestFile {
  readonly name: string
  readonly path: string
  readonly size: number
  readonly sha256: string
}

/** A folder of its own under the system's temporary one, removed at the end. */
export function makeFolder (t: Tap.Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'fastify-ktls-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/** A file of pseudo-random bytes, the same for the same size in every run. */
export function makeFile (folder: string, size: number, name = `${size}.bin`): TestFile {
  const path = join(folder, name)
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, size % 251), Buffer.alloc(16))
  const hash = createHash('sha256')
  const zeros = Buffer.alloc(Math.min(size, 1 << 20))
  const fd = openSync(path, 'w')
  for (let left = size; left > 0;) {
    const bytes = cipher.update(left < zeros.length ? zeros.subarray(0, left) : zeros)
    writeSync(fd, bytes)
    hash.update(bytes)
    left -= bytes.length
  }
  closeSync(fd)
  return { name, path, size, sha256: hash.digest('hex') }
}

/** How many descriptors of this process are of the file. */
export function openCount (path: string): number {
  return countDescriptors(target => target === path)
}

/** How many descriptors of this process are sockets. */
export function openSockets (): number {
  return countDescriptors(target => target.startsWith('socket:'))
}

function countDescriptors (counts: (target: string) => boolean): number {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return counts(readlinkSync(`/proc/self/fd/${fd}`))
    } catch {
      // Closed meanwhile, as is the one that listed them.
      return false
    }
  }).length
}

export function sha256 (bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}
