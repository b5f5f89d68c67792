import { execFile } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from './node'

export interface DoctorRun {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface DoctorOptions {
  /** The package's folder. */
  readonly root?: string
  readonly env?: NodeJS.ProcessEnv
  /** Gets the process, to end it. */
  readonly onStart?: (child: ChildProcess) => void
}

/** Runs the doctor as `npx fastify-ktls` does. `code` is -1 where a signal has ended it. */
export function runDoctor (args: readonly string[], { root = ROOT, env: more = {}, onStart = () => {} }: DoctorOptions = {}): Promise<DoctorRun> {
  const { bin } = require(join(root, 'package.json')) as { bin: Record<string, string> }
  const double = process.env.KTLS_TEST_DOUBLE === '1' ? ['--require', join(__dirname, '../double/install.js')] : []
  const env: NodeJS.ProcessEnv = { ...process.env, ...more }
  // By which tap loads code of its own into children.
  delete env.NODE_OPTIONS
  return new Promise(resolve => {
    const child = execFile(process.execPath, [...double, join(root, bin['fastify-ktls']!), ...args], { env }, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr })
    })
    onStart(child)
  })
}
