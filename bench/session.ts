import { createHash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { Client } from './client'
import type { Contender } from './contenders'
import type { Measurement, Order } from './measure'
import type { Running } from './running'
import { promotions, usageOf } from './usage'
import { JSON_PATH, WARM_UP } from './workloads'
import type { Workload } from './workloads'

/** Milliseconds within which the plugin counts a reply whose last byte the client has. */
const COUNTED_WITHIN = 5000

/** Bytes of data that the plugin leaves to the event loop (docs/how-it-works.md). */
const MAX_INLINE = 128 * 1024

export const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** One contender at one workload: its connections, which stay open from round to round, and its samples. */
export class Session {
  readonly measurement: Measurement
  readonly #contender: Contender
  readonly #running: Running
  readonly #workload: Workload
  readonly #order: Order
  #clients: Client[] = []
  /** Replies asked for whose body the plugin is to send past the event loop, and what it had counted before. */
  #offloaded = 0
  #countedBefore = 0
  /** Transmit keys that the kernel got while this contender was at work. */
  #promotions = 0

  constructor (contender: Contender, running: Running, workload: Workload, order: Order) {
    this.#contender = contender
    this.#running = running
    this.#workload = workload
    this.#order = order
    this.measurement = { contender: contender.name, workload: workload.name, size: workload.size, clients: workload.clients ?? 1, all: [], main: [], elapsed: [], late: [] }
  }

  /** Connects, compares the bodies' hashes, and warms up. */
  async open (hashOf: (path: string) => string): Promise<void> {
    const { warmUp, afterFile, clients = 1 } = this.#workload
    this.#countedBefore = await this.#running.offloaded?.() ?? 0
    await this.#watchingTheKernel(async () => {
      // A server's backlog has room for that many.
      while (this.#clients.length < clients) {
        this.#clients.push(...await Promise.all(Array.from({ length: Math.min(100, clients - this.#clients.length) }, () => this.#connect())))
      }
      const [client] = this.#clients as [Client]
      if (afterFile) await this.#get(client, WARM_UP.path, WARM_UP.size)
      for (const { path, size } of this.#parts) {
        const body = createHash('sha256')
        await this.#get(client, path, size, bytes => body.update(bytes))
        if (body.digest('hex') !== hashOf(path)) throw new Error(`${path}: wrong bytes`)
      }
      for (let i = 0; i < warmUp; i++) await this.#ask()
    })
  }

  async sample (): Promise<void> {
    const { requests, clients } = this.#workload
    await this.#watchingTheKernel(async () => {
      const watched = clients === undefined ? undefined : await this.#running.watch?.()
      const start = usageOf(this.#running.pid)
      const began = process.hrtime.bigint()
      let asked = 0
      let ended: bigint
      do {
        for (let i = 0; i < requests; i++) await this.#ask()
        asked += requests
        ended = process.hrtime.bigint()
      } while (Number(ended - began) < this.#order.leastSample * 1e6)
      const end = usageOf(this.#running.pid)
      const answered = asked * this.#clients.length * this.#parts.length
      this.measurement.all.push((end.all - start.all) / answered)
      this.measurement.main.push((end.main - start.main) / answered)
      this.measurement.elapsed.push(Number(ended - began) / asked / this.#parts.length)
      if (watched !== undefined) this.measurement.late.push(await watched())
    })
  }

  /** Also checks that those encrypted who were meant to. */
  async close (): Promise<void> {
    for (const client of this.#clients) await client.close()
    const { name, kernelTls } = this.#contender
    const at = `${name}, ${this.#workload.name}`
    if (this.#promotions > 0 && !kernelTls) throw new Error(`${at}: the kernel encrypted`)
    if (this.#promotions === 0 && kernelTls && this.#offloaded > 0) throw new Error(`${at}: the kernel did not encrypt`)
    if (this.#running.offloaded === undefined) return
    const deadline = Date.now() + COUNTED_WITHIN
    let counted: number
    do {
      counted = await this.#running.offloaded() - this.#countedBefore
      if (counted === this.#offloaded) return
      await setTimeout(10)
    } while (Date.now() < deadline)
    throw new Error(`${at}: of ${this.#offloaded} replies ${counted} went by the backend ${this.#order.backend}`)
  }

  #connect (): Promise<Client> {
    return Client.connect(this.#running.port, this.#contender.secure)
  }

  async #get (from: Client, path: string, size: number, onBody?: (bytes: Buffer) => void): Promise<void> {
    const { range, unmodified, compressed, path: own } = this.#workload
    const condition = unmodified ? ['If-None-Match: *'] : range && [`Range: bytes=${range.join('-')}`]
    const headers = compressed ? ['Accept-Encoding: gzip'] : path === own ? condition : undefined
    const got = await from.get(path, headers, onBody)
    if (got !== size) throw new Error(`${path}: ${got} bytes in place of ${size}`)
    if (this.#isOffloaded(path, size)) this.#offloaded++
  }

  /** Whether the plugin is to send the body past the event loop. */
  #isOffloaded (path: string, size: number): boolean {
    const { minSize, backend } = this.#order
    if (path === this.#workload.path && this.#workload.data !== undefined) return backend !== 'plain' && size > MAX_INLINE
    return path !== JSON_PATH && size >= minSize
  }

  get #parts (): ReadonlyArray<{ readonly path: string, readonly size: number }> {
    return this.#workload.page ?? [this.#workload]
  }

  /** Once by each client. */
  async #ask (): Promise<void> {
    const { fresh } = this.#workload
    if (fresh) {
      await this.#clients[0]!.close()
      this.#clients = [await this.#connect()]
    }
    for (const { path, size } of this.#parts) await Promise.all(this.#clients.map(client => this.#get(client, path, size)))
  }

  async #watchingTheKernel (work: () => Promise<void>): Promise<void> {
    const before = promotions()
    await work()
    this.#promotions += promotions() - before
  }
}
