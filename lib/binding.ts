import type { Backend, SenderFigures } from '../types/index'
import { requireAddon } from './addon'

/** How a system call failed: a negative errno, and the call's name. */
export interface Failure {
  readonly error: number
  readonly call: string
}

/** The ranges of a file are sent from this descriptor, which the callee closes. */
export interface FileRange {
  readonly fd: number
  readonly offset: number
  readonly length: number
}

/** Data that nobody changes before it is sent: read from where it lies, whatever becomes of the object. */
export interface LastingBytes {
  readonly bytes: Uint8Array
  readonly length: number
}

/** Text as UTF-8, in memory of the native part's own, which is free once it is sent. */
export interface Text {
  readonly text: string
  readonly length: number
}

/** Each has a `length` in bytes. Data without more is read within the call, or copied. */
export type Part = Uint8Array | LastingBytes | Text | FileRange

/** The transmit side of a promoted connection (native/transmit/transmit_queue.h). */
export interface Transmitter {
  readonly backend: Backend
  readonly dataBytes: number
  readonly fileBytes: number
  /** `true`: all is taken; `false`: an event will tell. */
  send (parts: readonly Part[]): boolean | Failure
  /**
   * Ends the sending side once all is in TCP. Results as of `send`. `receiving`: the client has not sent all of
   * its request, and is let finish (native/transmit/lingering.h).
   */
  shutdown (receiving: boolean): boolean | Failure
  /** Changes the transmit key if that is due: by itself it changes with the next data. */
  updateKey (): void
  /** `true`: closed; `false`: closes when nothing reported as written can be lost. */
  abort (): boolean
  /** Keeps the event loop alive, as a write of libuv's would, until as many calls of `unref`. */
  ref (): void
  unref (): void
}

/** One server-side SSL object (native/connection/session.h). */
export interface Session {
  matches (finished: Uint8Array): boolean
  /** Gives the transmit side to the first backend that may and can have it. `onEvent` hears what happens to the transmitter. */
  promote (fd: number, choice: Choice, onEvent: TransmitListener): Promotion | Refusal
  closeNotify (): void
  forget (): void
}

/** Which backends may have a connection; of the two the kernel is asked first. */
export interface Choice {
  readonly kernel: boolean
  /** Whether the kernel can change the key later. Threads always can. */
  readonly rekey: boolean
  readonly threads: boolean
}

export interface Promotion {
  readonly transmitter: Transmitter
  /** How the kernel refused, where threads took its place. */
  readonly cause: Failure | null
}

export interface Refusal extends Failure {
  readonly refusal: string
}

export interface Probe extends Failure {
  /** errno of TLS_TX by cipher, in the order of native/openssl/keys.h; 0: taken. */
  readonly tls12: readonly number[]
  readonly tls13: readonly number[]
  /** Whether the kernel takes a second key, which only TLS 1.3 has use for. */
  readonly rekey: boolean
}

/**
 * What happens to a transmitter later (native/transmit/transmit_queue.h, TransmitListener). 'settled': the operation that was
 * left pending has ended, or the transmitter has failed. 'bypassed': OpenSSL was made to write data, which is lost.
 */
export type TransmitEvent = 'settled' | 'closed' | 'key-due' | 'key-updated' | 'key-used-up' | 'bypassed'

/** `number`: of 'settled', 0 or a negative errno, with the call that failed; of 'key-updated', how often. */
export type TransmitListener = (event: TransmitEvent, number: number, call: string) => void

export interface Closings {
  /** The records of all that the backend had taken, to the byte. */
  readonly exact: number
  /** All that had been reported as written. */
  readonly owed: number
  readonly less: number
  /** Bytes that did not go through the backend. */
  readonly more: number
  /** The connection was over, or TCP's figures could not be read. */
  readonly unknown: number
}

export interface Binding {
  /** A body of more bytes is sent by a sender (native/transmit/transmit_queue.h). */
  readonly inlineBytes: number
  /** Whether `ArrayBuffer.prototype.transfer`, where there is one, moves memory that is pinned (native/addon/pinned_memory.h). */
  readonly transferMovesPinned: boolean
  probe (): Probe
  /** Has OpenSSL tell of each SSL that this thread makes; false when it has no room for that. */
  startCapture (): boolean
  claim (): Session[]
  discard (): void
  /**
   * Gives the sending side of a connection without TLS to the backend `plain`, for as long as the transmitter is not
   * aborted. Nobody else may have anything to write to it meanwhile.
   */
  promotePlain (fd: number, onEvent: TransmitListener): Promotion | Refusal
  /** Where a read without an offset begins; negative for what has no position. */
  positionOf (fd: number): number
  /** A new descriptor with close-on-exec, or a negative errno. */
  duplicate (fd: number): number
  /** Closes a file in a thread that may wait for that. In a worker `fs` would warn of a descriptor that it has not opened. */
  close (fd: number): void
  /**
   * Fills `bytes` from a file in libuv's pool, by a descriptor of its own, as `fd` may be closed meanwhile, and tells
   * whether it could; not where the file has another size than `size`, -1 being any. False: no descriptor is left, and
   * `done` is not called.
   */
  read (fd: number, offset: number, bytes: Uint8Array, size: number, done: (whole: boolean) => void): boolean
  /** Bytes of a regular file with blocks on a disk; -1: it is something else, or cannot be known without waiting. */
  sizeOf (fd: number): number
  /**
   * Of paths with a NUL after each: puts the identity of each one's file (native/kernel/file_identity.h) into `identities`, 48 bytes each: device, inode,
   * mode, size and the times of the last modification and change in nanoseconds since 1970, all 0 where there is no such
   * file. 0, or the negative errno of the first that cannot be told without waiting for the disk.
   */
  identify (paths: Uint8Array, identities: Uint8Array): number
  /** Whether these are still their identities; false also where that cannot be told without waiting. */
  areUnchanged (paths: Uint8Array, identities: Uint8Array): boolean
  /** The same of an open file. False where that cannot be told. */
  identifyFile (fd: number, identity: Uint8Array): boolean
  /** Whether all of these that exist lie on local file systems, whose times are to be believed. May wait, unless they have just been identified. */
  areLocal (paths: Uint8Array): boolean
  /** Whether a file's byte is known to be readable without waiting for the disk. */
  isCached (fd: number, offset: number): boolean
  /** Fills `bytes` from the file if that is known to need no waiting for the disk. */
  readCached (fd: number, offset: number, bytes: Uint8Array): boolean
  /** Of the whole process. */
  senders (): SenderFigures
  /** For tests: the number of records after which a key counts as used up. */
  limitRecords (count: number): void
  /** For tests: the transmitters closed so far, by what TCP had got of each (native/records/kernel_records.h). */
  closings (): Closings
}

/** What the addon exports. */
export interface Addon extends Binding {
  readonly missingFunction: string | null
}

export type LoadResult =
  | { readonly binding: Binding }
  | { readonly reason: 'not-linux' | 'addon-missing' | 'openssl-missing', readonly detail: string }

let loaded: LoadResult | undefined

/** The addon, loaded once. */
export function loadBinding (): LoadResult {
  loaded ??= load()
  return loaded
}

function load (): LoadResult {
  if (process.platform !== 'linux') {
    return { reason: 'not-linux', detail: `kernel TLS is a feature of Linux, and this is ${process.platform}` }
  }
  const addon = requireAddon()
  if ('problem' in addon) {
    return { reason: 'addon-missing', detail: `the native addon could not be loaded (${addon.problem}); ${addon.remedy}` }
  }
  if (addon.missingFunction !== null) {
    return {
      reason: 'openssl-missing',
      detail: `this runtime does not export OpenSSL's ${addon.missingFunction}; use Node.js`
    }
  }
  return { binding: addon }
}
