/*
 * Measures the contenders one after the other and prints a line of JSON for each
 * of them and each workload (Measurement). Runs where the kernel has kernel TLS.
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from './client'
import { CONTENDERS } from './contenders'
import type { Contender } from './contenders'
import type { Running } from './running'
import { promotions, usageOf } from './usage'
import { FILES, JSON_BODY, JSON_PATH, WARM_UP, WORKLOADS, fileName } from './workloads'
import type { Workload } from './workloads'

export interface Measurement {
  readonly contender: string
  readonly workload: string
  readonly size: number
  /** For each sample, a request's share: nanoseconds of processor time, of all threads and of the main one, and of the clock. */
  readonly all: number[]
  readonly main: number[]
  readonly elapsed: number[]
  /** The share of a timer's turns that were late, where the event loop was watched. */
  readonly late: number[]
}

export interface Order {
  readonly samples: number
  /** Names; all if empty. */
  readonly contenders: readonly string[]
  readonly workloads: readonly string[]
  readonly nginx: string
  /** The plugin's option. */
  readonly minSize: number
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** Writes the files and returns each path's content. */
function writeFiles (folder: string): Map<string, Buffer> {
  const contents = new Map([[JSON_PATH as string, Buffer.from(JSON_BODY)]])
  for (const { size } of FILES) {
    const content = randomBytes(size)
    writeFileSync(join(folder, fileName(size)), content)
    contents.set(`/${fileName(size)}`, content)
  }
  return contents
}

async function measure (contender: Contender, running: Running, workload: Workload, { samples, minSize }: Order, expected: string): Promise<Measurement> {
  const { path, range, size, requests, fresh } = workload
  const headers = range === undefined ? [] : [`Range: bytes=${range.join('-')}`]
  const before = promotions()
  const connect = () => Client.connect(running.port, contender.secure)
  let client = await connect()
  const others = await Promise.all(Array.from({ length: (workload.clients ?? 1) - 1 }, connect))
  if (workload.afterFile) await client.get(WARM_UP.path)
  const body = createHash('sha256')
  await client.get(path, headers, bytes => body.update(bytes))
  if (body.digest('hex') !== expected) throw new Error(`${path}: wrong bytes`)
  const ask = async (from = client) => {
    if (fresh) {
      await client.close()
      from = client = await connect()
    }
    const got = await from.get(path, headers)
    if (got !== size) throw new Error(`${path}: ${got} bytes in place of ${size}`)
  }
  for (let i = 0; i < workload.warmUp; i++) await ask()
  const result: Measurement = { contender: contender.name, workload: workload.name, size, all: [], main: [], elapsed: [], late: [] }
  for (let sample = 0; sample < Math.min(samples, workload.samples ?? samples); sample++) {
    const watched = workload.clients === undefined ? undefined : await running.watch?.()
    const start = usageOf(running.pid)
    const began = process.hrtime.bigint()
    for (let i = 0; i < requests; i++) await Promise.all([ask(), ...others.map(ask)])
    const ended = process.hrtime.bigint()
    const end = usageOf(running.pid)
    const answered = requests * (1 + others.length)
    result.all.push((end.all - start.all) / answered)
    result.main.push((end.main - start.main) / answered)
    result.elapsed.push(Number(ended - began) / requests)
    if (watched !== undefined) result.late.push(await watched())
  }
  for (const open of [client, ...others]) await open.close()
  const promoted = promotions() - before
  if (promoted > 0 && !contender.kernelTls) throw new Error(`${contender.name} used kernel TLS`)
  if (promoted === 0 && contender.kernelTls && (workload.afterFile || (path !== JSON_PATH && size >= minSize))) throw new Error(`${contender.name} did not use kernel TLS for ${workload.name}`)
  return result
}

async function main (order: Order): Promise<void> {
  const chosen = <T extends { readonly name: string }> (all: readonly T[], names: readonly string[]) => all.filter(({ name }) => names.length === 0 || names.includes(name))
  const root = mkdtempSync(join(tmpdir(), 'fastify-ktls-bench-'))
  const contents = writeFiles(root)
  const measureAll = async (contender: Contender, running: Running) => {
    const warmUp = await Client.connect(running.port, contender.secure)
    for (let i = 0; i < WARM_UP.requests; i++) await warmUp.get(WARM_UP.path)
    await warmUp.close()
    for (const workload of chosen(WORKLOADS, order.workloads)) {
      const [first, last] = workload.range ?? [0, Infinity]
      const expected = sha256(contents.get(workload.path)!.subarray(first, last + 1))
      process.stdout.write(`${JSON.stringify(await measure(contender, running, workload, order, expected))}\n`)
    }
  }
  try {
    for (const [index, contender] of chosen<Contender>(CONTENDERS, order.contenders).entries()) {
      const running = await contender.start({ folder: root, temporary: join(root, `own-${index}`), nginx: order.nginx, minSize: order.minSize })
      try {
        await measureAll(contender, running)
      } finally {
        await running.stop()
      }
    }
  } finally {
    rmSync(root, { recursive: true })
  }
}

main(JSON.parse(process.argv[2]!) as Order).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = 1
})
