import { createReadStream } from 'node:fs'
import type { ReadStream } from 'node:fs'
import { setInterval } from 'node:timers'
import type { Binding } from '../binding'
import { openAs } from '../connection/internals'
import { readIfThere } from '../machine/read'
import type { FileCounters } from '../observe/file-counters'
import { FileBody } from '../reply/file-body'
import { smallBody } from '../reply/small-body'
import type { Head, Headers } from './head'
import type { Proof } from './proof'
import type { Part } from './question'

/** Milliseconds after which a file that nobody asks for is closed. */
const IDLE = 60_000

/** Bytes of a file, and how many of them its stream reads at once. */
export interface Body extends Part {
  readonly highWaterMark: number
}

/** What @fastify/static made of a question. */
export interface Answer {
  /** Headers that are set before a file is looked for: by `reply.download`. */
  readonly early: Headers
  /** Undefined: there is no such file. */
  readonly head: Head | undefined
  /** Undefined: it has none. */
  readonly body: Body | undefined
  readonly proof: Proof
}

interface KeptFile extends Answer {
  readonly owner: KeptFiles
  readonly key: string
  /** Undefined without a body. */
  readonly fd: number | undefined
  /** In the present span of IDLE, or the one before. */
  used: boolean
}

/** So many answers of either kind are kept in the process, and files at most for this share of the descriptors that it may have. */
const [MOST, SHARE] = [1000, 0.25]

let limit: number | undefined
/** By all registrations, in the order in which they were last asked for. Whoever asks for what is not there drives out nothing that is. */
const [found, missing] = [new Set<KeptFile>(), new Set<KeptFile>()]

function ofKind ({ head }: Answer): Set<KeptFile> {
  return head === undefined ? missing : found
}

/** man 5 proc_pid_limits */
function hasRoom (kept: Set<KeptFile>): boolean {
  if (limit === undefined) {
    const [, descriptors] = /^Max open files +(\d+)/m.exec(readIfThere('/proc/self/limits') ?? '') ?? []
    limit = descriptors === undefined ? MOST : Math.min(MOST, Math.floor(Number(descriptors) * SHARE))
  }
  return kept.size < limit
}

/** By which the kernel decides who may open a file. */
function userOfProcess (): number {
  return process.geteuid!()
}

/** Files that are kept open for one registration, with the answers they were sent under; where there is no room for another, the one that was asked for longest ago goes, whosever it is. */
export class KeptFiles {
  readonly #binding: Binding
  readonly #counters: FileCounters
  /** By question. */
  readonly #files = new Map<string, KeptFile>()
  #timer: NodeJS.Timeout | undefined
  #closed = false
  /** Who has opened them, and so may read them. */
  #user = userOfProcess()

  constructor (binding: Binding, counters: FileCounters) {
    this.#binding = binding
    this.#counters = counters
  }

  /** What is kept for a question; nothing is proved yet. */
  find (key: string): Answer | undefined {
    const file = this.#files.get(key)
    if (file === undefined) this.#counters.missed('new')
    return file
  }

  /** Whether what was found holds now. False also where it is not kept any more. */
  holds (answer: Answer): boolean {
    this.#followUser()
    const file = answer as KeptFile
    const kept = ofKind(file)
    if (!kept.has(file)) {
      this.#counters.missed('new')
      return false
    }
    if (!file.proof.holds()) {
      this.#counters.missed('changed')
      this.#drop(file)
      return false
    }
    file.used = true
    kept.delete(file)
    kept.add(file)
    return true
  }

  /** Keeps an answer; `fd` is the callee's. */
  keep (key: string, answer: Answer, fd?: number): void {
    if (this.#closed) {
      if (fd !== undefined) this.#binding.close(fd)
      return
    }
    this.#followUser()
    const former = this.#files.get(key)
    if (former !== undefined) this.#drop(former)
    const kept = ofKind(answer)
    const [oldest] = kept
    if (!hasRoom(kept) && oldest !== undefined) oldest.owner.#drop(oldest)
    const file = { ...answer, owner: this, key, fd, used: true }
    this.#files.set(key, file)
    kept.add(file)
    if (fd !== undefined) this.#counters.opened()
    this.#timer ??= setInterval(() => this.#closeIdle(), IDLE).unref()
  }

  /** A stream of the body, or of a part of it, over a descriptor of its own; where there is none left, its path's. */
  open (answer: Answer, part: Part): ReadStream {
    const { fd: own, head, body } = answer as KeptFile
    const stream = createReadStream(head!.path, { start: part.start, end: part.end, highWaterMark: body!.highWaterMark })
    const fd = this.#binding.duplicate(own!)
    return fd < 0 ? stream : openAs(stream, fd)
  }

  /** The same in a Buffer; undefined where it cannot be had without waiting for a disk. */
  read (answer: Answer, { start, end }: Part): Buffer | undefined {
    const bytes = Buffer.allocUnsafe(end - start + 1)
    return this.#binding.readCached((answer as KeptFile).fd!, start, bytes) ? smallBody(bytes) : undefined
  }

  /** The same as a payload. */
  body (answer: Answer, part: Part): FileBody {
    return new FileBody((answer as KeptFile).fd!, { offset: part.start, length: part.end - part.start + 1 }, () => this.open(answer, part))
  }

  close (): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.#clear()
  }

  /** Another one may not read what the former one could. */
  #followUser (): void {
    const user = userOfProcess()
    if (user !== this.#user) this.#clear()
    this.#user = user
  }

  #clear (): void {
    for (const file of this.#files.values()) this.#drop(file)
  }

  #closeIdle (): void {
    for (const file of this.#files.values()) {
      if (file.used) file.used = false
      else this.#drop(file)
    }
  }

  #drop (file: KeptFile): void {
    this.#files.delete(file.key)
    ofKind(file).delete(file)
    if (file.fd === undefined) return
    this.#counters.closed()
    this.#binding.close(file.fd)
  }
}
