import { Readable } from 'node:stream'
import type { FastifyStaticOptions } from '@fastify/static'
import type { FastifyReply, RouteHandlerMethod, RouteOptions } from 'fastify'
import type { FileMiss } from '../../types/index'
import type { Binding } from '../binding'
import type { FileCounters } from '../observe/file-counters'
import { endsAsNodeDoes, headsAsNodeDoes, writesAsNodeDoes } from '../reply/routing'
import { isSmall } from '../reply/small-body'
import { isPayloadUnseen } from '../reply/unseen'
import { isAsWritten, isUntouched, partialOf, writeHead } from './head'
import type { Head } from './head'
import { KeptFiles } from './kept-files'
import type { Answer } from './kept-files'
import { Learner } from './learner'
import { partOf, questionOf } from './question'
import type { Part, Question } from './question'
import { wantedByCall, wantedByRoute, wantedByUrl } from './wanted'
import type { RouteFile, Wanted } from './wanted'

/** An answer that is about to be sent. */
interface Taken {
  readonly head: Head
  readonly payload: Payload
}

/** A stream, or what no onSend hook sees: the bytes, or null in place of none. */
type Payload = Readable | Buffer | null

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
    this.#options = options
    this.#varies = Boolean(options.preCompressed)
  }

  /** Whether no function of the application's decides what is answered. */
  static canKeep (options: FastifyStaticOptions): boolean {
    const { allowedPath, setHeaders } = options
    return allowedPath === undefined && !('onFile' in options) && (setHeaders === undefined || typeof setHeaders === 'function')
  }

  /** For @fastify/static. */
  options (): FastifyStaticOptions {
    const { setHeaders } = this.#options
    return {
      ...this.#options,
      setHeaders: (reply, path, stat) => {
        const head = this.#learner.headOf(reply, path, stat)
        // It may throw, or send something itself.
        setHeaders?.(reply, path, stat)
        this.#learner.found(reply, head)
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
      return taken === undefined ? handler.call(this, request, reply) : registration.#send(reply, taken)
    }
  }

  /** In place of `reply.sendFile` or `reply.download`. */
  decorator (name: string, original: Decorator): Decorator {
    const registration = this
    const send = async (reply: FastifyReply, taken: Taken, call: unknown[]) => {
      if (isUntouched(reply, taken.head)) return registration.#send(reply, taken)
      dispose(taken.payload)
      registration.#counters.missed('headers')
      original.apply(reply, call)
    }
    return function (...call) {
      const wanted = wantedByCall(name, call, registration.#options)
      const taken = registration.#take(wanted, this)
      if (taken === undefined) {
        original.apply(this, call)
        if (name === 'download') registration.#learner.setEarly(this, 'content-disposition')
      } else {
        this.headers(taken.head.early)
        // What the caller sets at once still goes with it.
        Promise.resolve().then(() => send(this, taken, call)).catch(error => this.send(error))
      }
      return this
    }
  }

  close (): void {
    this.#files.close()
  }

  /** From what is kept; else @fastify/static has to answer, and is watched. */
  #take (wanted: Wanted | undefined, reply: FastifyReply): Taken | undefined {
    this.#learner.forget(reply)
    const question = wanted && questionOf(reply.request, wanted.name, this.#varies)
    if (question === undefined) return this.#miss('request')
    const answer = this.#files.find(question.key)
    if (answer !== undefined) return this.#open(answer, question, reply)
    const pathname = wanted!.pathname()
    if (pathname !== undefined) this.#learner.watch(question, pathname, wanted!.options, reply)
    return undefined
  }

  #open (answer: Answer, { range }: Question, reply: FastifyReply): Taken | undefined {
    const { body, head } = answer
    if (!isUntouched(reply, head)) return this.#miss('headers')
    const isPart = range !== undefined && head.headers['accept-ranges'] !== undefined
    const part = isPart ? partOf(range, head.stat.size) : body
    if (isPart && part === undefined) return this.#miss('request')
    const payload = this.#payload(answer, part, reply)
    if (payload === undefined) return this.#miss('new')
    return { head: isPart ? partialOf(head, part!) : head, payload }
  }

  /** Undefined where no descriptor is left. */
  #payload (answer: Answer, part: Part | undefined, reply: FastifyReply): Payload | undefined {
    const { raw } = reply
    const isUnseen = !raw.headersSent && !Object.hasOwn(reply, 'send') && isPayloadUnseen(reply.request) && headsAsNodeDoes(raw) && writesAsNodeDoes(raw) && endsAsNodeDoes(raw)
    if (part === undefined) return isUnseen ? null : Readable.from('')
    const isRead = isUnseen && answer.head.stat.size > 0 && isSmall(reply.server.server, part.end - part.start + 1)
    return (isRead ? this.#files.read(answer, part) : undefined) ?? this.#files.open(answer, part)
  }

  #miss (cause: FileMiss): undefined {
    this.#counters.missed(cause)
    return undefined
  }

  /** As @fastify/static ends: with the reply. */
  async #send (reply: FastifyReply, { head, payload }: Taken): Promise<void> {
    this.#counters.hit()
    try {
      writeHead(reply, head, this.#options.setHeaders, this.#varies)
    } catch (error) {
      dispose(payload)
      throw error
    }
    if (payload instanceof Readable) await reply.send(payload)
    else await sendUnseen(reply, head, payload, this.#options.setHeaders !== undefined)
  }
}

function dispose (payload: Payload): void {
  if (payload instanceof Readable) payload.destroy()
}

/** Fastify corrects the head by what it sends, but of a stream it believes what `setHeaders` has made of it. */
function sendUnseen (reply: FastifyReply, head: Head, payload: Buffer | null, mayDiffer: boolean): FastifyReply {
  const { raw } = reply
  const isTyped = payload === null || reply.hasHeader('content-type')
  if (!isTyped || (mayDiffer && !isAsWritten(reply, head))) return reply.send(Readable.from(payload ?? ''))
  // Once it has had one Node keeps them all, as with a stream's, so that `reply.raw` can be asked for them.
  if (raw.getHeaderNames().length === 0) raw.setHeader('x', '').removeHeader('x')
  return reply.send(payload ?? undefined)
}
