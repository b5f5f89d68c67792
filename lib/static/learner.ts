import { ReadStream, stat } from 'node:fs'
import type { Stats } from 'node:fs'
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { Binding } from '../binding'
import { fileDescriptorOf, requestedRange } from '../connection/internals'
import { copyOfStat, headerNames, isPlain, lastHeaders, wholeOf } from './head'
import type { Head, Headers } from './head'
import type { Answer, KeptFiles } from './kept-files'
import { Places } from './places'
import type { Options } from './places'
import { Proof } from './proof'
import type { Question } from './question'

/** Questions that have been asked once, of which a second time is learnt: clients choose them. */
const MAX_ASKED = 4096

/** Statuses that @fastify/static chooses itself; another one is the application's. */
const ITS_STATUSES = new Set([200, 206, 304])

/** How often in a row the kernel is given a second try: of some file systems it never knows. */
const PATIENCE = 16

/** A question that @fastify/static is about to answer. */
interface Watched {
  readonly reply: FastifyReply
  readonly question: Question
  readonly options: Options
  /** Of all that the answer may depend on, taken before. */
  readonly proof: Proof
  readonly compressed: ReadonlySet<string>
  early: Headers
  head?: Head
}

/** Learns from @fastify/static's replies what to answer the next time. */
export class Learner {
  readonly #binding: Binding
  readonly #files: KeptFiles
  readonly #asked = new Set<string>()
  #patience = PATIENCE
  /** By what @fastify/static was given in place of the reply: of one reply there may be several at once. */
  readonly #watched = new WeakMap<FastifyReply, Watched>()

  constructor (binding: Binding, files: KeptFiles) {
    this.#binding = binding
    this.#files = files
  }

  /** Keeps what @fastify/static is about to answer, by these options, if that is a file or none: given what is returned, it does so on `reply`. */
  watch (question: Question, pathname: string, options: Options, reply: FastifyReply): FastifyReply {
    if (!isPlain(reply) || !this.#isAskedAgain(question.key)) return reply
    const candidates = Places.of(options)?.candidates(pathname)
    if (candidates === undefined) return reply
    const proof = Proof.take(this.#binding, candidates.paths)
    if (proof === 'cold') this.#bringIn(question, candidates.paths)
    if (typeof proof === 'string') return reply
    const watched: Watched = { reply, question, options, proof, compressed: candidates.compressed, early: {} }
    let isOver = false
    // What comes after the first is too late, and not the answer.
    const once = (learn: () => void) => {
      if (!isOver && !reply.sent) learn()
      isOver = true
    }
    const asked = onBehalf(reply, {
      send: payload => once(() => { if (watched.head !== undefined) this.#learn(watched, watched.head, payload) }),
      callNotFound: () => once(() => { this.#keep(question.key, { early: watched.early, head: undefined, body: undefined, proof }) })
    })
    this.#watched.set(asked, watched)
    return asked
  }

  /** The application's own, of what @fastify/static was given. */
  replyOf (asked: FastifyReply): FastifyReply {
    return this.#watched.get(asked)?.reply ?? asked
  }

  /** What @fastify/static has just set for the file that it has found; undefined where that cannot be kept. */
  headOf (asked: FastifyReply, path: string, stat: Stats): Head | undefined {
    const watched = this.#watched.get(asked)
    if (watched === undefined) return undefined
    const { reply } = watched
    const { statusCode: status } = reply
    if (!ITS_STATUSES.has(status)) return undefined
    const headers = lastHeaders(reply, headerNames(watched.options, status))
    return headers !== undefined && watched.proof.isOf(path, stat) ? { status, headers, late: {}, path, stat: copyOfStat(stat) } : undefined
  }

  /** It sends that file now. */
  found (asked: FastifyReply, head: Head | undefined): void {
    const watched = this.#watched.get(asked)
    if (watched !== undefined && head !== undefined) watched.head = head
  }

  /** One that is set before there is a file. */
  setEarly (asked: FastifyReply, name: string): void {
    const watched = this.#watched.get(asked)
    if (watched !== undefined) watched.early = { [name]: String(watched.reply.getHeader(name)) }
  }

  /** Has the kernel look these up on the disk, so that the next time it knows. */
  #bringIn (question: Question, paths: readonly string[]): void {
    if (this.#patience === 0) return
    this.#patience--
    for (const path of paths) stat(path, () => {})
    this.#asked.add(copyOf(question.key))
  }

  /** What could not be kept has to be asked twice again. */
  #isAskedAgain (key: string): boolean {
    if (this.#asked.delete(key)) return true
    if (this.#asked.size >= MAX_ASKED) this.#asked.clear()
    this.#asked.add(copyOf(key))
    return false
  }

  #learn ({ reply, question: { key, range }, proof, compressed, early }: Watched, found: Head, payload: unknown): void {
    const late = compressed.has(found.path) ? { 'content-type': String(reply.getHeader('content-type')), 'content-encoding': String(reply.getHeader('content-encoding')) } : {}
    const head = range === undefined ? { ...found, late } : { ...wholeOf(found), late }
    if (payload instanceof ReadStream) {
      const part = range === undefined ? requestedRange(payload) : { start: 0, end: Math.max(0, found.stat.size - 1) }
      this.#learnFile(payload, key, { early, head, proof, body: { ...part, highWaterMark: payload.readableHighWaterMark } })
    } else if (payload instanceof Readable && (head.status === 304 || reply.request.raw.method === 'HEAD')) {
      this.#keep(key, { early, head, proof, body: undefined })
    }
  }

  #learnFile (stream: ReadStream, key: string, answer: Answer & { readonly head: Head }): void {
    const { path } = answer.head
    if (stream.path !== path || fileDescriptorOf(stream) !== null) return
    // Its file is open, and is still the stream's.
    stream.once('open', () => {
      const fd = this.#binding.duplicate(fileDescriptorOf(stream)!)
      if (fd < 0) return
      if (!answer.proof.isOpenAs(path, fd) || !this.#keep(key, answer, fd)) this.#binding.close(fd)
    })
  }

  /** False: the answer may have changed since it was made. */
  #keep (key: string, answer: Answer, fd?: number): boolean {
    const proof = answer.proof.of(answer.head?.path)
    if (proof?.holds() !== true) return false
    this.#asked.add(copyOf(key))
    this.#patience = PATIENCE
    this.#files.keep(copyOf(key), { ...answer, proof }, fd)
    return true
  }
}

/** Who hears how a reply is answered. */
interface Listeners {
  send (payload: unknown): void
  callNotFound (): void
}

/** The same reply, but that what is called of these is heard before. */
function onBehalf (reply: FastifyReply, listeners: Listeners): FastifyReply {
  const send = (payload: unknown) => {
    listeners.send(payload)
    return reply.send(payload)
  }
  const callNotFound = () => {
    listeners.callNotFound()
    return reply.callNotFound()
  }
  return new Proxy(Object.create(reply) as FastifyReply, {
    get: (_reply, name) => {
      if (name === 'send') return send
      if (name === 'callNotFound') return callNotFound
      const value: unknown = Reflect.get(reply, name)
      return typeof value === 'function' ? value.bind(reply) as unknown : value
    },
    set: (_reply, name, value) => Reflect.set(reply, name, value)
  })
}

/** A part of a string keeps the whole alive, here the URL with its query, which may be long. */
function copyOf (text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le')
}
