import type { Readable } from 'node:stream'
import type { FastifyStaticOptions } from '@fastify/static'
import type { FastifyReply, RouteHandlerMethod, RouteOptions } from 'fastify'
import type { FileMiss } from '../../types/index'
import type { Binding } from '../binding'
import type { FileCounters } from '../observe/file-counters'
import { isUntouched, partialOf, writeHead } from './head'
import type { Head } from './head'
import { KeptFiles } from './kept-files'
import type { Answer } from './kept-files'
import { Learner } from './learner'
import { partOf, questionOf } from './question'
import type { Question } from './question'
import { wantedByCall, wantedByRoute, wantedByUrl } from './wanted'
import type { RouteFile, Wanted } from './wanted'

/** An answer that is about to be sent. */
interface Taken {
  readonly head: Head
  readonly stream: Readable
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
        this.#learner.found(reply, path, stat)
        setHeaders?.(reply, path, stat)
      }
    }
  }

  /** In place of the handler of a route of @fastify/static's. */
  handler ({ handler, config }: RouteOptions): RouteHandlerMethod {
    const registration = this
    const fixed = wantedByRoute(config as RouteFile | undefined, this.#options)
    return function (request, reply) {
      const wanted = fixed ?? wantedByUrl(request, registration.#options)
      const taken = registration.#take(wanted, reply)
      return taken === undefined ? handler.call(this, request, reply) : registration.#send(reply, taken)
    }
  }

  /** In place of `reply.sendFile` or `reply.download`. */
  decorator (name: string, original: Decorator): Decorator {
    const registration = this
    const send = async (reply: FastifyReply, taken: Taken, call: unknown[]) => {
      if (isUntouched(reply, taken.head)) return registration.#send(reply, taken)
      taken.stream.destroy()
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
    const { head } = answer
    if (!isUntouched(reply, head)) return this.#miss('headers')
    const isPart = range !== undefined && head.headers['accept-ranges'] !== undefined
    const part = isPart ? partOf(range, head.stat.size) : undefined
    if (isPart && part === undefined) return this.#miss('request')
    const stream = this.#files.open(answer, part)
    if (stream === undefined) return this.#miss('new')
    return { head: part === undefined ? head : partialOf(head, part), stream }
  }

  #miss (cause: FileMiss): undefined {
    this.#counters.missed(cause)
    return undefined
  }

  /** As @fastify/static ends: with the reply. */
  async #send (reply: FastifyReply, { head, stream }: Taken): Promise<void> {
    this.#counters.hit()
    try {
      writeHead(reply, head, this.#options.setHeaders, this.#varies)
    } catch (error) {
      stream.destroy()
      throw error
    }
    await reply.send(stream)
  }
}
