import { createReadStream } from 'node:fs'
import type { ReadStream } from 'node:fs'
import type { Binding } from '../binding'
import { openAs } from '../connection/internals'
import { readIfThere } from '../machine/read'
import type { FileCounters } from '../observe/file-counters'
import { smallBody } from '../reply/small-body'
import type { Head } from './head'
import type { Proof } from './proof'
import type { Part } from './question'

/** Milliseconds after which a file that nobody asks for is closed. */
const IDLE = 60_000

/** What @fastify/static made of a question. */
export interface Answer {
  readonly head: Head
  /** Undefined: it has none. */
  readonly body: Part | undefined
  readonly proof: Proof
}

interface KeptFile extends Answer {
  /** Undefined without a body. */
  readonly fd: number | undefined
  /** In the present span of IDLE, or the one before. */
  used: boolean
}

/** Answers that are kept in the process, by all registrations: so many, and files at most for this share of the descriptors that it may have. */
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
  /** By question; in the order in which they were last asked. */
  readonly #files = new Map<string, KeptFile>()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor (binding: Binding, counters: FileCounters) {
    this.#binding = binding
    this.#counters = counters
  }

  /** What is kept for a question, if it is proved to hold. */
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
    file.used = true
    this.#files.delete(key)
    this.#files.set(key, file)
    return file
  }

  /** Keeps an answer; `fd` is the callee's. */
  keep (key: string, answer: Answer, fd?: number): void {
    const former = this.#files.get(key)
    if (former !== undefined) this.#drop(key, former)
    const [oldest] = this.#files
    if (!hasRoom() && oldest !== undefined) this.#drop(...oldest)
    if (this.#closed || !hasRoom()) {
      if (fd !== undefined) this.#binding.close(fd)
      return
    }
    this.#files.set(key, { ...answer, fd, used: true })
    kept++
    if (fd !== undefined) this.#counters.opened()
    this.#timer ??= setInterval(() => this.#closeIdle(), IDLE).unref()
  }

  /** A stream of the body, or of a part of it, over a descriptor of its own; undefined when there is none left. */
  open (answer: Answer, part: Part): ReadStream | undefined {
    const { fd: own, head } = answer as KeptFile
    const fd = this.#binding.duplicate(own!)
    return fd < 0 ? undefined : openAs(createReadStream(head.path, part), fd)
  }

  /** The same in a Buffer; undefined where it cannot be had without waiting for a disk. */
  read (answer: Answer, { start, end }: Part): Buffer | undefined {
    const bytes = Buffer.allocUnsafe(end - start + 1)
    return this.#binding.readCached((answer as KeptFile).fd!, start, bytes) ? smallBody(bytes) : undefined
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
    if (fd === undefined) return
    this.#counters.closed()
    this.#binding.close(fd)
  }
}
