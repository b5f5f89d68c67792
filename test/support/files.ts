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
  return descriptorTargets().filter(target => target === path).length
}

/** How many descriptors of this process are sockets. */
export function openSockets (): number {
  return descriptorTargets().filter(isSocket).length
}

/** The sockets of this process, each once. */
export function sockets (): ReadonlySet<string> {
  return new Set(descriptorTargets().filter(isSocket))
}

function isSocket (target: string): boolean {
  return target.startsWith('socket:')
}

function descriptorTargets (): string[] {
  return readdirSync('/proc/self/fd').flatMap(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      // Closed meanwhile, as is the one that listed them.
      return []
    }
  })
}

export function sha256 (bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}
