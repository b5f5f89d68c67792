/*
 * npm run bench: measures the processor time of this machine by the backend that
 * it has, or the instructions of the kernel backend in a guest, and prints the report.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg, release, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { parseArgs } from 'node:util'
import { DEFAULTS } from '../lib/options'
import { detect } from '../lib/machine/support'
import { certificate } from '../test/certificate'
import { onExt4 } from '../test/vm/ext4'
import { runInGuest } from '../test/vm/guest'
import { nodeBinary } from '../test/vm/node-versions'
import type { Backend } from '../types/index'
import { contendersOf } from './contenders'
import { figuresOf } from './figures'
import type { Measurement, Order } from './measure'
import { fetchNginx } from './nginx'
import { picture } from './picture'
import { report } from './report'
import { WORKLOADS } from './workloads'

const CONTENDERS = contendersOf('kernel')

const USAGE = `usage: npm run bench -- [options]
  --plain              HTTP without TLS, on this machine
  --guest              count the instructions of the kernel backend in a guest
  --samples N          of each figure: rounds (7; in a guest 20)
  --contender NAME     ${CONTENDERS.map(({ name }) => name).join('; ')}; may be repeated (all)
  --workload NAME      ${WORKLOADS.map(({ name }) => name).join('; ')}; may be repeated (all)
  --min-size N         the plugin's option minSize (its default)
  --folder FOLDER      where the files are that are served, not for a guest (${tmpdir()})
  --output FOLDER      write host.md, with --plain plain.md, of a guest results.md and results.svg
  --help
`

const GUEST = { kernel: '6.12', node: 24 } as const

/** Milliseconds after which the guest is ended. */
const TIMEOUT = 2 * 60 * 60 * 1000

/** Milliseconds that a sample takes here at least: a scheduler's tick must not show in it. */
const LEAST_SAMPLE = 250

const progress = (message: string) => { process.stderr.write(`${message}\n`) }

interface Choice {
  readonly guest: boolean
  readonly output: string | undefined
  readonly help: boolean
  readonly order: Omit<Order, 'nginx'>
}

function parse (): Choice {
  const { values } = parseArgs({
    options: {
      guest: { type: 'boolean', default: false },
      plain: { type: 'boolean', default: false },
      samples: { type: 'string' },
      contender: { type: 'string', multiple: true, default: [] },
      workload: { type: 'string', multiple: true, default: [] },
      'min-size': { type: 'string', default: String(DEFAULTS.minSize) },
      folder: { type: 'string' },
      output: { type: 'string' },
      help: { type: 'boolean', default: false }
    }
  })
  const { guest, plain, output, help } = values
  if (guest && plain) throw new Error('--guest and --plain exclude each other: the guest is for its kernel TLS')
  const samples = Number(values.samples ?? (guest ? 20 : 7))
  if (!Number.isSafeInteger(samples) || samples < 1) throw new Error(`--samples ${values.samples} is not a positive whole number`)
  const backend = guest ? 'kernel' : plain ? 'plain' : backendHere()
  const chosen = (option: string, names: readonly string[], known: ReadonlyArray<{ readonly name: string }>) => {
    for (const name of names) if (!known.some(one => one.name === name)) throw new Error(`--${option} ${name} is not known${guest ? '' : ' here'}`)
    return names.length > 0 ? names : known.map(({ name }) => name)
  }
  return {
    guest,
    output,
    help,
    order: {
      samples,
      leastSample: guest ? 0 : LEAST_SAMPLE,
      guest,
      minSize: Number(values['min-size']),
      backend,
      contenders: chosen('contender', values.contender, contendersOf(backend)),
      workloads: chosen('workload', values.workload, WORKLOADS.filter(({ hereOnly }) => !guest || !hereOnly)),
      folder: guest ? undefined : values.folder
    }
  }
}

/** The plugin's first choice on this machine. */
function backendHere (): Backend {
  const { support } = detect()
  const [backend] = support.backends
  if (backend === undefined) throw new Error(support.detail ?? 'nothing can be offloaded here')
  return backend
}

function collect (output: Readable): Measurement[] {
  const measurements: Measurement[] = []
  createInterface({ input: output }).on('line', line => {
    const measurement = JSON.parse(line) as Measurement
    measurements.push(measurement)
    progress(`${measurement.contender}, ${measurement.workload}`)
  })
  return measurements
}

const measurer = (order: Order) => [join(__dirname, 'measure.js'), JSON.stringify(order)] as const

const failed = (code: number) => new Error(`the measurement ended with ${code}`)

async function measureHere (order: Order): Promise<Measurement[]> {
  const child = spawn(process.execPath, measurer(order), { stdio: ['ignore', 'pipe', 'inherit'] })
  const measurements = collect(child.stdout)
  const [code] = await once(child, 'close') as [number]
  if (code !== 0) throw failed(code)
  return measurements
}

async function measureInGuest (order: Order): Promise<Measurement[]> {
  const command = onExt4([await nodeBinary(GUEST.node, progress), ...measurer(order)])
  const env = { KTLS_TEST_CERTIFICATE: JSON.stringify(await certificate()) }
  const guest = runInGuest({ kernel: GUEST.kernel, icount: true, memory: 3072, timeout: TIMEOUT, command, env, onProgress: progress })
  guest.stderr.pipe(process.stderr)
  const measurements = collect(guest.stdout)
  const code = await guest.exited
  if (code !== 0) throw failed(code)
  return measurements
}

const load = () => loadavg()[0]!.toFixed(1)

/** What the figures depend on; those of a guest on nothing else that this machine does. */
function circumstances ({ guest, backend, samples, nginx }: Order, loadBefore: string): string {
  const processors = cpus()
  const machine = guest
    ? `a QEMU guest with Linux ${GUEST.kernel}, Node ${GUEST.node}`
    : `${processors.length} × ${processors[0]!.model.trim()}, Linux ${release()}, Node ${process.versions.node}`
  return `\`npm run bench -- ${process.argv.slice(2).map(word => word.includes(' ') ? `"${word}"` : word).join(' ')}\`:
${machine}, nginx ${basename(nginx)};
${backend === 'plain' ? 'HTTP without TLS' : 'TLS 1.3 with AES-256-GCM'}; backend \`${backend}\`; ${samples} rounds, in each of which each server
has a sample in turn${guest ? '' : `; load average ${loadBefore} at the start, ${load()} at the end`}.
`
}

async function main (): Promise<void> {
  let choice: Choice
  try {
    choice = parse()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
    process.exitCode = 2
    return
  }
  const { guest, output, help } = choice
  if (help) {
    process.stdout.write(USAGE)
    return
  }
  const order = { ...choice.order, nginx: await fetchNginx(progress) }
  const loadBefore = load()
  const figures = figuresOf(await (guest ? measureInGuest : measureHere)(order))
  const text = `${circumstances(order, loadBefore)}\n${report(figures, guest ? 'instructions' : 'seconds')}`
  process.stdout.write(text)
  if (output === undefined) return
  await mkdir(output, { recursive: true })
  await writeFile(join(output, guest ? 'results.md' : order.backend === 'plain' ? 'plain.md' : 'host.md'), text)
  if (guest) await writeFile(join(output, 'results.svg'), picture(text))
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
