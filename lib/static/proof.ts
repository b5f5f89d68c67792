import type { Binding } from '../binding'

/** Of an identity, in bytes (native/kernel/file_identity.h). */
export const IDENTITY_BYTES = 48

/** Places in an identity. */
const [SIZE, MODIFIED, CHANGED] = [3, 4, 5]
/** In a millisecond. */
const NANOSECONDS = 1e6

/** Milliseconds for which the kernel's clock for files may stand still, and more (CONFIG_HZ=100: 10). */
const TICK = 20

let scratch = Buffer.alloc(16 * IDENTITY_BYTES)

/** That an answer given once would be given again: the file is the same, and each folder on the way to it. */
export class Proof {
  readonly #binding: Binding
  readonly #paths: readonly string[]
  readonly #identities: Buffer

  /** Of the file, in bytes. */
  readonly size: number
  /** Of its content, in milliseconds since 1970. */
  readonly modified: number

  private constructor (binding: Binding, paths: readonly string[], identities: Buffer) {
    this.#binding = binding
    this.#paths = paths
    this.#identities = identities
    const file = identities.length - IDENTITY_BYTES
    this.size = Number(identities.readBigInt64LE(file + SIZE * 8))
    this.modified = Number(identities.readBigInt64LE(file + MODIFIED * 8)) / NANOSECONDS
  }

  /**
   * Taken of a file that is open as `fd`. Undefined where something cannot be told
   * without waiting for a disk, another file has that name by now, or anything has changed
   * since `asked` (milliseconds since 1970), when the answer began to be made, or within
   * one tick of the clock before.
   */
  static take (binding: Binding, paths: readonly string[], fd: number, asked: number): Proof | undefined {
    const file = Buffer.alloc(IDENTITY_BYTES)
    if (!binding.identifyFile(fd, file)) return undefined
    const identities = Buffer.alloc(paths.length * IDENTITY_BYTES)
    if (binding.identify(paths, identities) !== 0) return undefined
    if (!identities.subarray(-IDENTITY_BYTES).equals(file)) return undefined
    for (let at = 0; at < identities.length; at += IDENTITY_BYTES) {
      for (const time of [MODIFIED, CHANGED]) {
        if (Number(identities.readBigInt64LE(at + time * 8)) / NANOSECONDS > asked - TICK) return undefined
      }
    }
    return new Proof(binding, paths, identities)
  }

  /** Whether nothing has changed since. False also where that cannot be told without waiting for a disk. */
  holds (): boolean {
    const { length } = this.#identities
    if (scratch.length < length) scratch = Buffer.alloc(length)
    return this.#binding.identify(this.#paths, scratch) === 0 && this.#identities.compare(scratch, 0, length) === 0
  }
}
