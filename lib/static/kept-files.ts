import { createReadStream } from 'node:fs'
import type { ReadStream } from 'node:fs'
import type { Binding } from '../binding'
import { openAs } from '../connection/internals'
import { readIfThere } from '../machine/read'
import type { FileCounters } from '../observe/file-counters'
import type { Headers } from './answers'
import type { Proof } from './proof'

/** Milliseconds after which a file that nobody asks for is closed. */
const IDLE = 60_000

/** What @fastify/static made of a request, and the file that it found. */
export interface Answer {
  readonly path: string
  readonly headers: Headers
  /** Of one byte at least. */
  readonly proof: Proof
}

interface KeptFile extends Answer {
  readonly fd: number
  /** In the present span of IDLE, or the one before. */
  used: boolean
}

/** Files that are kept open in the process, by all registrations: so many, and at most this share of the descriptors that it may have. */
const [MOST, SHARE] = [1000, 0.25]

let limit: number | undefined
let kept = 0

/** man 5 proc_pid_limits */
function hasRoom (): boolean {
  if (limit === undefined) {
    const [, descriptors] = /^Max open files +(\d+)/m.exec(readIfThere('/proc/self/limits') ?? '') ?? []
    limit = descriptors === undefined ? MOST : Math.min(MOST, Math.floor(Number(descriptors) * SHARE))
  }
  return kept < limit
}

/** Files that are kept open for one registration, with the answers they were sent under; where there is no room for another, the one that was asked for longest ago goes. */
export class KeptFiles {
  readonly #binding: Binding
  readonly #counters: FileCounters
  /** By path; in the order in which they were last asked for. */
  readonly #files = new Map<string, KeptFile>()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor (binding: Binding, counters: FileCounters) {
    this.#binding = binding
    this.#counters = counters
  }

  /** What is kept for a request, if it is proved to hold. */
  find (key: string): Answer | undefined {
    const file = this.#files.get(key)
    if (file === undefined) {
      this.#counters.missed('new')
      return undefined
    }
    if (!file.proof.holds()) {
      this.#counters.missed('changed')
      this.#drop(key, file)
      return undefined
    }
    this.#counters.hit()
    file.used = true
    this.#files.delete(key)
    this.#files.set(key, file)
    return file
  }

  /** Keeps an answer; `fd` is the callee's. */
  keep (key: string, fd: number, answer: Answer): void {
    if (this.#closed) return this.#binding.close(fd)
    const former = this.#files.get(key)
    if (former !== undefined) this.#drop(key, former)
    const [oldest] = this.#files
    if (!hasRoom() && oldest !== undefined) this.#drop(...oldest)
    if (!hasRoom()) return this.#binding.close(fd)
    this.#files.set(key, { ...answer, fd, used: true })
    kept++
    this.#counters.opened()
    this.#timer ??= setInterval(() => this.#closeIdle(), IDLE).unref()
  }

  /** A stream of the whole file over a descriptor of its own; undefined when there is none left. */
  open (answer: Answer): ReadStream | undefined {
    const { fd: own, path, proof } = answer as KeptFile
    const fd = this.#binding.duplicate(own)
    return fd < 0 ? undefined : openAs(createReadStream(path, { start: 0, end: proof.size - 1 }), fd)
  }

  close (): void {
    this.#closed = true
    clearInterval(this.#timer)
    for (const [key, file] of this.#files) this.#drop(key, file)
  }

  #closeIdle (): void {
    for (const [key, file] of this.#files) {
      if (file.used) file.used = false
      else this.#drop(key, file)
    }
  }

  #drop (key: string, { fd }: KeptFile): void {
    this.#files.delete(key)
    kept--
    this.#counters.closed()
    this.#binding.close(fd)
  }
}
