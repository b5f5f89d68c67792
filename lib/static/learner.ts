import { ReadStream } from 'node:fs'
import type { FastifyReply } from 'fastify'
import type { Binding } from '../binding'
import { fileDescriptorOf, requestedRange } from '../connection/internals'
import { isHeadOf } from './answers'
import type { Answers, Headers } from './answers'
import type { KeptFiles } from './kept-files'
import { Proof } from './proof'

/** Paths that have been asked for once, of which a second time is learnt; and characters of one: clients choose both. */
const MAX_ASKED = 4096
const MAX_PATH = 512

/** Learns from @fastify/static's replies what to answer the next time. */
export class Learner {
  readonly #binding: Binding
  readonly #files: KeptFiles
  readonly #answers: Answers
  readonly #asked = new Set<string>()

  constructor (binding: Binding, files: KeptFiles, answers: Answers) {
    this.#binding = binding
    this.#files = files
    this.#answers = answers
  }

  /** Whether @fastify/static would replace nothing that a hook has set, and what it sets itself stays so. */
  isUntouched (reply: FastifyReply): boolean {
    return reply.statusCode === 200 && !Object.hasOwn(reply, 'header') && !Object.hasOwn(reply, 'headers') && !this.#answers.headers.some(name => reply.hasHeader(name))
  }

  /**
   * Keeps the file that @fastify/static is about to send, if it sends one. What comes by
   * another handler, that of 404 or of errors, is not its answer.
   */
  watch (path: string, reply: FastifyReply): void {
    if (!this.#isAskedAgain(path)) return
    const asked = Date.now()
    const before = Object.keys(reply.getHeaders()).length
    const { send, callNotFound } = reply
    const leave = () => { Object.assign(reply, { send, callNotFound }) }
    reply.callNotFound = () => {
      leave()
      return reply.callNotFound()
    }
    reply.send = payload => {
      leave()
      const headers = reply.statusCode === 200 ? this.#answers.headersOf(reply, before) : undefined
      if (payload instanceof ReadStream && headers !== undefined) this.#learn(path, payload, headers, asked)
      return reply.send(payload)
    }
  }

  #isAskedAgain (path: string): boolean {
    if (path.length > MAX_PATH) return false
    if (this.#asked.has(path)) return true
    if (this.#asked.size >= MAX_ASKED) this.#asked.clear()
    this.#asked.add(copyOf(path))
    return false
  }

  #learn (path: string, stream: ReadStream, headers: Headers, asked: number): void {
    const paths = typeof stream.path === 'string' ? this.#answers.pathsOf(stream.path, path) : undefined
    if (paths === undefined || fileDescriptorOf(stream) !== null || requestedRange(stream).start !== 0) return
    // Its file is open, and is still the stream's.
    stream.once('open', () => {
      const fd = this.#binding.duplicate(fileDescriptorOf(stream)!)
      if (fd < 0) return
      const proof = Proof.take(this.#binding, paths, fd, asked)
      if (proof === undefined || proof.size === 0 || !isHeadOf(proof, headers)) this.#binding.close(fd)
      else this.#files.keep(copyOf(path), fd, { path: paths.at(-1)!, headers, proof })
    })
  }
}

/** A part of a string keeps the whole alive, here the URL with its query, which may be long. */
function copyOf (text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le')
}
