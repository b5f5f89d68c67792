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

/** Seconds: enough on most machines, on a busy one, and at last on an emulated processor that is busy. */
const FIRST_TIMES = [10, 40]
const LAST_TIME = 160

/** Runs the doctor's comparison, once more with more time where it says that this was too short. */
export async function runBench (args: readonly string[], options: DoctorOptions = {}): Promise<DoctorRun> {
  const runFor = (seconds: number) => runDoctor(['bench', ...args, '--seconds', String(seconds)], options)
  for (const seconds of FIRST_TIMES) {
    const run = await runFor(seconds)
    if (!/give it more by --seconds\n$/.test(run.stderr)) return run
  }
  return runFor(LAST_TIME)
}
