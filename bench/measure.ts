/*
 * Measures the contenders in alternating rounds and prints a line of JSON for each
 * of them and each workload (Measurement).
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Backend } from '../types/index'
import { Client } from './client'
import { contendersOf } from './contenders'
import type { Contender } from './contenders'
import type { Running } from './running'
import { Session, sha256 } from './session'
import { COMPRESSED, COMPRESSED_PAGE, FILES, ITEM, JSON_BODY, JSON_PATH, PAGE, WARM_UP, WORKLOADS, fileName } from './workloads'
import type { Workload } from './workloads'

export interface Measurement {
  readonly contender: string
  readonly workload: string
  readonly size: number
  readonly clients: number
  /** For each round, a request's share: nanoseconds of processor time, of all threads and of the main one, and of the clock. */
  readonly all: number[]
  readonly main: number[]
  readonly elapsed: number[]
  /** The share of a timer's turns that were late, where the event loop was watched. */
  readonly late: number[]
}

export interface Order {
  /** Rounds. In each, each contender has a sample of a workload in turn: what else the machine has to do meets all of them alike. */
  readonly samples: number
  /** Milliseconds that a sample takes at least. */
  readonly leastSample: number
  readonly guest: boolean
  /** Names. */
  readonly contenders: readonly string[]
  readonly workloads: readonly string[]
  /** The only one that the plugin may use. */
  readonly backend: Backend
  /** Where nginx was unpacked. */
  readonly nginx: string
  /** The plugin's option. */
  readonly minSize: number
  /** Where the files are written that are served; else where temporary ones are, which in a guest is for it to know. */
  readonly folder?: string | undefined
}

interface Started {
  readonly contender: Contender
  readonly running: Running
}

/** Writes the files and returns each path's content. */
function writeFiles (folder: string, workloads: readonly Workload[]): Map<string, Buffer> {
  const contents = new Map<string, Buffer>([[JSON_PATH, Buffer.from(JSON_BODY)]])
  mkdirSync(join(folder, 'page'))
  mkdirSync(join(folder, COMPRESSED))
  const crowded = workloads.filter(({ siblings }) => siblings !== undefined)
  for (const { path, siblings } of crowded) {
    const crowd = join(folder, dirname(path))
    mkdirSync(crowd)
    for (let i = 0; i < siblings!; i++) writeFileSync(join(crowd, `${i}.txt`), '')
  }
  for (const { path, size } of [...FILES.map(({ size }) => ({ path: `/${fileName(size)}`, size })), ...PAGE, ...crowded]) {
    const content = randomBytes(size)
    writeFileSync(join(folder, path), content)
    contents.set(path, content)
  }
  mkdirSync(join(folder, 'data'))
  for (const { path, data, size } of workloads) {
    if (data === undefined || contents.has(path)) continue
    const content = contentOf(data, size)
    writeFileSync(join(folder, path), content)
    contents.set(path, content)
  }
  // Nobody here decompresses them.
  for (const { path, size, uncompressed } of COMPRESSED_PAGE) {
    const content = randomBytes(size)
    writeFileSync(join(folder, uncompressed === undefined ? path : `${path}.gz`), content)
    if (uncompressed !== undefined) writeFileSync(join(folder, path), randomBytes(uncompressed))
    contents.set(path, content)
  }
  return contents
}

function contentOf (data: NonNullable<Workload['data']>, size: number): Buffer {
  const bytes = randomBytes(size)
  if (data === 'buffer') return bytes
  const text = bytes.toString('base64')
  if (data === 'text') return Buffer.from(text.slice(0, size))
  return Buffer.from(JSON.stringify(Array.from({ length: Math.floor(size / (ITEM + 3)) }, (_, index) => text.slice(index * ITEM, (index + 1) * ITEM))))
}

async function warmUp ({ contender, running }: Started): Promise<void> {
  const client = await Client.connect(running.port, contender.secure)
  for (let i = 0; i < WARM_UP.requests; i++) await client.get(WARM_UP.path)
  await client.close()
}

async function measure (started: readonly Started[], workload: Workload, order: Order, hashOf: (path: string) => string): Promise<void> {
  const sessions: Session[] = []
  for (const { contender, running } of started) {
    const session = new Session(contender, running, workload, order)
    await session.open(hashOf)
    sessions.push(session)
  }
  const rounds = order.guest ? Math.min(order.samples, workload.guestSamples ?? Infinity) : order.samples
  for (let round = 0; round < rounds; round++) {
    // Each is the first of a round, and each follows each other one, about as often.
    for (const index of sessions.keys()) await sessions[(round + index) % sessions.length]!.sample()
  }
  for (const session of sessions) {
    await session.close()
    process.stdout.write(`${JSON.stringify(session.measurement)}\n`)
  }
}

async function main (order: Order): Promise<void> {
  const root = mkdtempSync(join(order.folder ?? tmpdir(), 'fastify-ktls-bench-'))
  const started: Started[] = []
  try {
    const workloads = WORKLOADS.filter(({ name }) => order.workloads.includes(name))
    const contents = writeFiles(root, workloads)
    const contenders = contendersOf(order.backend).filter(({ name }) => order.contenders.includes(name))
    for (const [index, contender] of contenders.entries()) {
      started.push({ contender, running: await contender.start({ ...order, folder: root, temporary: join(root, `own-${index}`) }) })
    }
    for (const one of started) await warmUp(one)
    for (const workload of workloads) {
      const [first, last] = workload.unmodified ? [0, -1] : workload.range ?? [0, Infinity]
      await measure(started, workload, order, path => sha256(contents.get(path)!.subarray(first, last + 1)))
    }
  } finally {
    for (const { running } of started) await running.stop()
    rmSync(root, { recursive: true })
  }
}

main(JSON.parse(process.argv[2]!) as Order).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = 1
})
