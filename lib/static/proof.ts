import { constants, lstatSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { dirname } from 'node:path'
import type { Binding } from '../binding'

/** Of an identity, in bytes (native/kernel/file_identity.h). */
const IDENTITY_BYTES = 48

/** Places in an identity. */
const [INODE, MODE, SIZE, MODIFIED, CHANGED] = [1, 2, 3, 4, 5]
/** In a millisecond. */
const NANOSECONDS = 1e6

/** Milliseconds for which the kernel's clock for files may stand still, and more (CONFIG_HZ=100: 10). */
const TICK = 20
/** The same of a file system that keeps whole seconds, as ext3 does, and ext4 with inodes of 128 bytes. */
const SECOND = 2000

const NOTHING = Buffer.alloc(IDENTITY_BYTES)

/** That what some paths name is what they named when it was taken: the same files and folders, none of them changed, and nothing where there was nothing. */
export class Proof {
  readonly #binding: Binding
  readonly #paths: readonly string[]
  readonly #names: Buffer
  readonly #identities: Buffer

  private constructor (binding: Binding, paths: readonly string[], identities: Buffer) {
    this.#binding = binding
    this.#paths = paths
    this.#names = namesOf(paths)
    this.#identities = identities
  }

  /**
   * 'cold' where something cannot be told without waiting for a disk; 'changing' where it has changed within
   * one tick of the file system's clock, so that another change could not be told from that one. A folder comes before what is in it.
   */
  static take (binding: Binding, paths: readonly string[]): Proof | 'cold' | 'changing' {
    const now = Date.now()
    const proof = new Proof(binding, paths, Buffer.alloc(paths.length * IDENTITY_BYTES))
    for (const [i, path] of paths.entries()) {
      const identity = proof.#identities.subarray(i * IDENTITY_BYTES, (i + 1) * IDENTITY_BYTES)
      // What is in no folder is not there; the kernel does not say so without a disk.
      if (proof.#isNoFolder(dirname(path))) continue
      if (binding.identify(namesOf([path]), identity) !== 0) return 'cold'
      const changed = millisecondsAt(identity, CHANGED)
      // Nobody can set that one.
      const tick = changed % 1000 === 0 ? SECOND : TICK
      if (Math.max(millisecondsAt(identity, MODIFIED), changed) > now - tick) return 'changing'
    }
    return proof
  }

  /** Whether nothing has changed since. False also where that cannot be told without waiting for a disk. */
  holds (): boolean {
    return this.#binding.areUnchanged(this.#names, this.#identities)
  }

  /** Whether `stat` is of what this path named. */
  isOf (path: string, { ino, size, mtimeMs, ctimeMs }: Stats): boolean {
    const identity = this.#identityOf(path)
    return identity !== undefined && numberAt(identity, INODE) === ino && numberAt(identity, SIZE) === size &&
      isSame(millisecondsAt(identity, MODIFIED), mtimeMs) && isSame(millisecondsAt(identity, CHANGED), ctimeMs)
  }

  /** Whether `fd` is open on what this path named. */
  isOpenAs (path: string, fd: number): boolean {
    const file = Buffer.alloc(IDENTITY_BYTES)
    return this.#binding.identifyFile(fd, file) && this.#identityOf(path)?.equals(file) === true
  }

  /**
   * The same by fewer paths, that of the file that was found last: where there was nothing, its folder tells when
   * something comes. Undefined where the times of a file system are not to be believed.
   */
  of (file: string | undefined): Proof | undefined {
    const paths = this.#paths.filter(path => path !== file && !this.#isToldByFolder(path))
    if (file !== undefined) paths.push(file)
    const proof = new Proof(this.#binding, paths, Buffer.concat(paths.map(path => this.#identityOf(path)!)))
    return this.#binding.areLocal(proof.#names) ? proof : undefined
  }

  /** A link to nothing is something in its folder. */
  #isToldByFolder (path: string): boolean {
    const folder = dirname(path)
    return this.#isNothing(path) && this.#paths.includes(folder) && (this.#isNoFolder(folder) || isAbsent(path))
  }

  #isNothing (path: string): boolean {
    return this.#identityOf(path)?.equals(NOTHING) === true
  }

  #isNoFolder (path: string): boolean {
    const identity = this.#identityOf(path)
    return identity !== undefined && (numberAt(identity, MODE) & constants.S_IFMT) !== constants.S_IFDIR
  }

  #identityOf (path: string): Buffer | undefined {
    const at = this.#paths.indexOf(path) * IDENTITY_BYTES
    return at < 0 ? undefined : this.#identities.subarray(at, at + IDENTITY_BYTES)
  }
}

/** As the binding wants them. */
function namesOf (paths: readonly string[]): Buffer {
  return Buffer.from(paths.map(path => `${path}\0`).join(''))
}

function isAbsent (path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined
  } catch {
    return false
  }
}

function numberAt (identity: Buffer, place: number): number {
  return Number(identity.readBigInt64LE(place * 8))
}

function millisecondsAt (identity: Buffer, place: number): number {
  return numberAt(identity, place) / NANOSECONDS
}

/** Milliseconds, of which Node's have lost some of the nanoseconds. */
function isSame (one: number, other: number): boolean {
  return Math.abs(one - other) < 0.01
}
