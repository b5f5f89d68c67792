import { ReadStream } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { FastifyStaticOptions } from '@fastify/static'
import type { FastifyReply } from 'fastify'
import type { Binding } from '../binding'
import { fileDescriptorOf, requestedRange } from '../connection/internals'
import type { Answer, KeptFiles } from './kept-files'
import { Proof, pathsOf } from './proof'

/** What @fastify/static sets; the last two where it may have compressed files. */
const HEADERS = ['accept-ranges', 'cache-control', 'content-length', 'content-type', 'etag', 'last-modified']
const HEADERS_OF_COMPRESSED = [...HEADERS, 'content-encoding', 'vary']

/** Requests that have been asked once, of which a second time is learnt; and characters of one: clients choose both. */
const MAX_ASKED = 4096
const MAX_KEY = 512

/** Learns from @fastify/static's replies what to answer the next time. */
export class Learner {
  readonly #binding: Binding
  readonly #files: KeptFiles
  readonly #roots: readonly string[]
  readonly #headers: readonly string[]
  readonly #asked = new Set<string>()

  constructor (binding: Binding, files: KeptFiles, { root, preCompressed }: FastifyStaticOptions) {
    this.#binding = binding
    this.#files = files
    this.#roots = [root ?? []].flat().map(one => one instanceof URL ? fileURLToPath(one) : one)
    this.#headers = preCompressed === true ? HEADERS_OF_COMPRESSED : HEADERS
  }

  /** Whether @fastify/static would neither add to what a hook has set, nor replace it. */
  isUntouched (reply: FastifyReply): boolean {
    return reply.statusCode === 200 && !this.#headers.some(name => reply.hasHeader(name))
  }

  /**
   * Keeps the file that @fastify/static is about to send, if it sends one. What comes by
   * another handler, that of 404 or of errors, is not its answer.
   */
  watch (key: string, reply: FastifyReply): void {
    if (!this.#isAskedAgain(key)) return
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
      if (payload instanceof ReadStream && reply.statusCode === 200) this.#learn(key, payload, this.#headersOf(reply, before), asked)
      return reply.send(payload)
    }
  }

  /** Undefined where there are others than were there before, and its own. */
  #headersOf (reply: FastifyReply, before: number): Answer['headers'] | undefined {
    const all = reply.getHeaders()
    // In the order in which they were set, and are sent.
    const own = Object.entries(all).filter(([name]) => this.#headers.includes(name))
    return Object.keys(all).length === before + own.length ? Object.fromEntries(own) as Answer['headers'] : undefined
  }

  #isAskedAgain (key: string): boolean {
    if (key.length > MAX_KEY) return false
    if (this.#asked.has(key)) return true
    if (this.#asked.size >= MAX_ASKED) this.#asked.clear()
    this.#asked.add(key)
    return false
  }

  #learn (key: string, stream: ReadStream, headers: Answer['headers'] | undefined, asked: number): void {
    const { path } = stream
    const paths = typeof path === 'string' ? pathsOf(path, this.#roots) : undefined
    if (headers === undefined || paths === undefined || fileDescriptorOf(stream) !== null) return
    const { start, end } = requestedRange(stream)
    const size = end + 1
    if (start !== 0 || Number(headers['content-length']) !== size) return
    // Its file is open, and is still the stream's.
    stream.once('open', () => {
      const fd = this.#binding.duplicate(fileDescriptorOf(stream)!)
      if (fd < 0) return
      const proof = Proof.take(this.#binding, paths, fd, asked)
      if (proof === undefined || proof.size !== size || !isDated(headers, proof.modified)) this.#binding.close(fd)
      else this.#files.keep(key, fd, { path: path as string, size, headers, proof })
    })
  }
}

/** Whether the head is of this file, and not of one that had its name when @fastify/static asked, by a link above the root that has been switched since. */
function isDated ({ 'last-modified': date }: Answer['headers'], modified: number): boolean {
  return date === undefined || Date.parse(String(date)) === Math.floor(modified / 1000) * 1000
}
