/*
 * npm run bench: measures here, where this machine's kernel has kernel TLS, else
 * in a guest, and prints the report.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { parseArgs } from 'node:util'
import { DEFAULTS } from '../lib/options'
import { detect } from '../lib/machine/support'
import { certificate } from '../test/certificate'
import { onExt4 } from '../test/vm/ext4'
import { runInGuest } from '../test/vm/guest'
import { nodeBinary } from '../test/vm/node-versions'
import { CONTENDERS } from './contenders'
import { figuresOf } from './figures'
import type { Measurement, Order } from './measure'
import { fetchNginx } from './nginx'
import { picture } from './picture'
import { report } from './report'
import type { Unit } from './report'
import { WORKLOADS } from './workloads'

const USAGE = `usage: npm run bench -- [options]
  --samples N          of each figure (20)
  --contender NAME     ${CONTENDERS.map(({ name }) => name).join('; ')}; may be repeated (all)
  --workload NAME      ${WORKLOADS.map(({ name }) => name).join('; ')}; may be repeated (all)
  --min-size N         the plugin's option minSize (its default)
  --output FOLDER      write results.md and results.svg
  --help
`

/** Milliseconds after which the guest is ended. */
const TIMEOUT = 2 * 60 * 60 * 1000

const progress = (message: string) => { process.stderr.write(`${message}\n`) }

type Choice = Omit<Order, 'nginx'> & { readonly output: string | undefined, readonly help: boolean }

function parse (): Choice {
  const { values } = parseArgs({
    options: {
      samples: { type: 'string', default: '20' },
      contender: { type: 'string', multiple: true, default: [] },
      workload: { type: 'string', multiple: true, default: [] },
      'min-size': { type: 'string', default: String(DEFAULTS.minSize) },
      output: { type: 'string' },
      help: { type: 'boolean', default: false }
    }
  })
  const samples = Number(values.samples)
  if (!Number.isSafeInteger(samples) || samples < 1) throw new Error(`--samples ${values.samples} is not a positive whole number`)
  const known = (option: string, names: readonly string[], all: ReadonlyArray<{ readonly name: string }>) => {
    for (const name of names) if (!all.some(one => one.name === name)) throw new Error(`--${option} ${name} is not known`)
    return names
  }
  return {
    samples,
    minSize: Number(values['min-size']),
    contenders: known('contender', values.contender, CONTENDERS),
    workloads: known('workload', values.workload, WORKLOADS),
    output: values.output,
    help: values.help
  }
}

/** The processor time of this machine, where its kernel has kernel TLS, else the instructions of a guest's. */
async function measure (order: Order): Promise<{ measurements: Measurement[], unit: Unit }> {
  const here = detect().support.available
  const measurements: Measurement[] = []
  const collect = (output: Readable) => {
    createInterface({ input: output }).on('line', line => {
      const measurement = JSON.parse(line) as Measurement
      measurements.push(measurement)
      progress(`${measurement.contender}, ${measurement.workload}`)
    })
  }
  const command = [await nodeBinary(24, progress), join(__dirname, 'measure.js'), JSON.stringify(order)] as const
  const environment = { KTLS_TEST_CERTIFICATE: JSON.stringify(await certificate()) }
  let code: number
  if (here) {
    const child = spawn(command[0], command.slice(1), { env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'inherit'] })
    collect(child.stdout)
    ;[code] = await once(child, 'close') as [number]
  } else {
    const guest = runInGuest({ kernel: '6.12', icount: true, memory: 3072, timeout: TIMEOUT, command: onExt4(command), env: environment, onProgress: progress })
    guest.stderr.pipe(process.stderr)
    collect(guest.stdout)
    code = await guest.exited
  }
  if (code !== 0) throw new Error(`the measurement ended with ${code}`)
  return { measurements, unit: here ? 'seconds' : 'instructions' }
}

async function main (): Promise<void> {
  let wanted: Choice
  try {
    wanted = parse()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
    process.exitCode = 2
    return
  }
  const { output, help, ...choice } = wanted
  if (help) {
    process.stdout.write(USAGE)
    return
  }
  const { measurements, unit } = await measure({ ...choice, nginx: await fetchNginx(progress) })
  const figures = figuresOf(measurements)
  const text = report(figures, unit)
  process.stdout.write(text)
  if (output === undefined) return
  await mkdir(output, { recursive: true })
  await writeFile(join(output, 'results.md'), text)
  await writeFile(join(output, 'results.svg'), picture(figures, unit === 'instructions' ? 'Instructions' : 'Processor time'))
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
