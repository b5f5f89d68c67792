import { execFile } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from './node'

export interface DoctorRun {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  /** From its start to its end. */
  readonly milliseconds: number
}

export interface DoctorOptions {
  /** The package's folder. */
  readonly root?: string
  readonly env?: NodeJS.ProcessEnv
  /** Its working directory. */
  readonly cwd?: string
  /** Gets the process, to end it. */
  readonly onStart?: (child: ChildProcess) => void
}

/** Runs the doctor as `npx fastify-ktls` does. `code` is -1 where a signal has ended it. */
export function runDoctor (args: readonly string[], { root = ROOT, env: more = {}, cwd = process.cwd(), onStart = () => {} }: DoctorOptions = {}): Promise<DoctorRun> {
  const { bin } = require(join(root, 'package.json')) as { bin: Record<string, string> }
  const double = process.env.KTLS_TEST_DOUBLE === '1' ? ['--require', join(__dirname, '../double/install.js')] : []
  const env: NodeJS.ProcessEnv = { ...process.env, ...more }
  // By which tap loads code of its own into children.
  delete env.NODE_OPTIONS
  const began = performance.now()
  return new Promise(resolve => {
    const child = execFile(process.execPath, [...double, join(root, bin['fastify-ktls']!), ...args], { env, cwd }, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr, milliseconds: performance.now() - began })
    })
    onStart(child)
  })
}

/** Seconds: enough where the processor is a real one. */
const LEAST = 10

/** What the comparison needs, three servers' start included, in times of what the doctor takes to say its version. */
const FACTOR = 50

/** Runs the doctor's comparison, for as long as a machine of this speed needs. */
export async function runBench (args: readonly string[], options: DoctorOptions = {}): Promise<DoctorRun> {
  const { milliseconds } = await runDoctor(['--version'], options)
  const seconds = Math.max(LEAST, Math.ceil(milliseconds / 1000 * FACTOR))
  return runDoctor(['bench', ...args, '--seconds', String(seconds)], options)
}
