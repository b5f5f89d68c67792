import { Readable } from 'node:stream'
import type { FastifyStaticOptions } from '@fastify/static'
import type { FastifyReply, RouteHandlerMethod, RouteOptions } from 'fastify'
import type { FileMiss } from '../../types/index'
import type { Binding } from '../binding'
import { later } from '../connection/internals'
import type { FileCounters } from '../observe/file-counters'
import type { FileBody } from '../reply/file-body'
import { isSmall, offloads } from '../reply/small-body'
import { isUnseen } from '../reply/unseen'
import { isUntouched, partialOf, suitsBytes, writeHead } from './head'
import type { Head, Headers } from './head'
import { KeptFiles } from './kept-files'
import type { Answer } from './kept-files'
import { Learner } from './learner'
import { partOf, questionOf } from './question'
import type { Part, Question } from './question'
import { wantedByCall, wantedByRoute, wantedByUrl } from './wanted'
import type { RouteFile, Wanted } from './wanted'

/** An answer that is about to be sent, or a part of it. */
interface Taken {
  readonly answer: Answer
  /** Undefined: there is no such file. */
  readonly head: Head | undefined
  readonly part: Part | undefined
}

/** @fastify/static has to answer, by this reply. */
interface NotKept {
  readonly ask: FastifyReply
}

export type Decorator = (this: FastifyReply, ...call: unknown[]) => FastifyReply

/** One registration of @fastify/static, and what is kept for it. */
export class Registration {
  readonly #files: KeptFiles
  readonly #learner: Learner
  readonly #counters: FileCounters
  readonly #options: FastifyStaticOptions
  readonly #varies: boolean

  constructor (binding: Binding, counters: FileCounters, options: FastifyStaticOptions) {
    this.#files = new KeptFiles(binding, counters)
    this.#learner = new Learner(binding, this.#files)
    this.#counters = counters
    // The application may use them for another one.
    this.#options = Object.fromEntries(Object.entries(options).map(([name, value]: [string, unknown]) => [name, Array.isArray(value) ? [...value as unknown[]] : value])) as unknown as FastifyStaticOptions
    this.#varies = Boolean(options.preCompressed)
  }

  /** Whether no function of the application's decides what is answered. */
  static canKeep (options: FastifyStaticOptions): boolean {
    const { allowedPath, setHeaders } = options
    // Of what it inherits a copy would know nothing.
    return Object.keys(options).includes('root') && allowedPath === undefined && !('onFile' in options) && (setHeaders === undefined || typeof setHeaders === 'function')
  }

  /** For @fastify/static. */
  options (): FastifyStaticOptions {
    const { setHeaders } = this.#options
    return {
      ...this.#options,
      setHeaders: (asked, path, stat) => {
        const head = this.#learner.headOf(asked as FastifyReply, path, stat)
        // It may throw, or send something itself.
        setHeaders?.(this.#learner.replyOf(asked as FastifyReply), path, stat)
        this.#learner.found(asked as FastifyReply, head)
      }
    }
  }

  /** In place of the handler of a route of @fastify/static's. */
  handler ({ handler, config }: RouteOptions): RouteHandlerMethod {
    const registration = this
    const fixed = wantedByRoute(config as RouteFile | undefined, this.#options)
    return function (request, reply) {
      // Some call a handler with an object of their own.
      const wanted = request === reply.request ? fixed ?? wantedByUrl(request, registration.#options) : undefined
      const taken = registration.#take(wanted, reply)
      if ('ask' in taken) return handler.call(this, request, taken.ask)
      return registration.#answer(reply, taken, () => handler.call(this, request, reply))
    }
  }

  /** In place of `reply.sendFile` or `reply.download`. */
  decorator (name: string, original: Decorator): Decorator {
    const registration = this
    return function (...call) {
      const wanted = wantedByCall(name, call, registration.#options)
      const taken = registration.#take(wanted, this)
      if ('ask' in taken) {
        original.apply(taken.ask, call)
        if (name === 'download') registration.#learner.setEarly(taken.ask, 'content-disposition')
      } else {
        const { early } = taken.answer
        this.headers(early)
        registration.#answer(this, taken, () => askAgain(this, early, () => original.apply(this, call))).catch(error => this.send(error))
      }
      return this
    }
  }

  close (): void {
    this.#files.close()
  }

  /** From what is kept; else @fastify/static has to answer, and is watched. */
  #take (wanted: Wanted | undefined, reply: FastifyReply): Taken | NotKept {
    const question = wanted && questionOf(reply.request, wanted.name, this.#varies)
    if (question === undefined) return this.#miss('request', reply)
    const answer = this.#files.find(question.key)
    if (answer !== undefined) return this.#open(answer, question, reply)
    const pathname = wanted!.pathname()
    return { ask: pathname === undefined ? reply : this.#learner.watch(question, pathname, wanted!.options, reply) }
  }

  #open (answer: Answer, { range }: Question, reply: FastifyReply): Taken | NotKept {
    const { body, head } = answer
    if (head === undefined) return { answer, head, part: undefined }
    if (!isUntouched(reply, head)) return this.#miss('headers', reply)
    if (range === undefined || head.headers['accept-ranges'] === undefined) return { answer, head, part: body }
    const part = partOf(range, head.stat.size)
    return part === undefined ? this.#miss('request', reply) : { answer, head: partialOf(head, part), part }
  }

  #miss (cause: FileMiss, ask: FastifyReply): NotKept {
    this.#counters.missed(cause)
    return { ask }
  }

  /**
   * In a later turn of the event loop, as @fastify/static does, which has to ask for the file first: what the caller does
   * meanwhile is done before. Where that is not the answer any more, `ask` asks @fastify/static.
   */
  async #answer (reply: FastifyReply, taken: Taken, ask: () => unknown): Promise<unknown> {
    await new Promise<void>(resolve => { later(resolve) })
    const { answer, head, part } = taken
    if (reply.sent || (head !== undefined && !isUntouched(reply, head))) this.#counters.missed('headers')
    else if (this.#files.holds(answer)) return head === undefined ? this.#sendNone(reply) : this.#send(reply, answer, head, part)
    return ask()
  }

  /** By the application's own handler of what is not found, as @fastify/static has it answered. */
  #sendNone (reply: FastifyReply): unknown {
    this.#counters.hit()
    return reply.callNotFound()
  }

  /** Ends with the reply, as @fastify/static does. */
  async #send (reply: FastifyReply, answer: Answer, head: Head, part: Part | undefined): Promise<void> {
    this.#counters.hit()
    writeHead(reply, head, this.#options.setHeaders, this.#varies)
    const payload = goesUnseen(reply, head, part) ? this.#payload(answer, head, part, reply) : undefined
    if (payload === undefined) await reply.send(part === undefined || reply.sent ? Readable.from('') : this.#files.open(answer, part))
    else await sendUnseen(reply, payload)
  }

  /** Null in place of none; undefined where it needs a stream. */
  #payload (answer: Answer, { stat }: Head, part: Part | undefined, { server: { server } }: FastifyReply): Buffer | FileBody | null | undefined {
    if (part === undefined) return null
    if (stat.size === 0) return undefined
    if (isSmall(server, part.end - part.start + 1)) return this.#files.read(answer, part)
    return offloads(server) ? this.#files.body(answer, part) : undefined
  }
}

/** What the first call has set may have been set otherwise since. */
function askAgain (reply: FastifyReply, early: Headers, ask: () => void): void {
  const since = Object.keys(early).map(name => [name, reply.getHeader(name)] as const)
  ask()
  for (const [name, value] of since) {
    if (value === undefined) reply.removeHeader(name)
    else reply.header(name, value)
  }
}

/** Whether nothing of the application's can tell bytes from a stream, and the client waits for them: those that pipeline requests do not yet. */
function goesUnseen (reply: FastifyReply, head: Head, part: Part | undefined): boolean {
  return isUnseen(reply) && !Object.hasOwn(reply, 'send') && (part === undefined || reply.hasHeader('content-type')) && suitsBytes(reply, head)
}

async function sendUnseen (reply: FastifyReply, payload: Buffer | FileBody | null): Promise<void> {
  const { raw } = reply
  // Once it has had one Node keeps them all, as with a stream's, so that `reply.raw` can be asked for them.
  if (raw.getHeaderNames().length === 0) raw.setHeader('x', '').removeHeader('x')
  reply.send(payload ?? undefined)
  if (!raw.closed) await new Promise(resolve => raw.once('close', resolve))
}
