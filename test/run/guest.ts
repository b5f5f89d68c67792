import { join } from 'node:path'
import { certificate } from '../certificate'
import { onExt4 } from '../vm/ext4'
import type { KernelName } from '../vm/kernels'
import type { Place } from './where'

const CLI = join(__dirname, '../vm/cli.js')

/** Bound on one guest's life, in seconds: twice what the longest takes. That of a file in .taprc is above it. */
const TIMEOUT = 1800

export interface GuestRun {
  readonly kernel: KernelName
  /** The Node binary that runs the tests. */
  readonly node: string
  /** A compiled script and its arguments; it prints TAP. */
  readonly script: readonly string[]
  readonly withholdTls?: boolean
  /** MiB. @defaultValue 3072 */
  readonly memory?: number
}

/** Runs a script in a guest as a subtest. */
export async function runSuite (t: Tap.Test, name: string, { kernel, node, script, withholdTls, memory = 3072 }: GuestRun): Promise<void> {
  await t.spawn(process.execPath, [
    CLI,
    '--kernel', kernel,
    ...(withholdTls === true ? ['--withhold-tls'] : []),
    '--memory', String(memory),
    '--timeout', String(TIMEOUT),
    '--env', 'TAP=1',
    '--env', `TAP_TIMEOUT=${TIMEOUT}`,
    // Made here: key generation takes its time in an emulated processor.
    '--env', `KTLS_TEST_CERTIFICATE=${JSON.stringify(await certificate())}`,
    '--',
    ...onExt4([node, '--expose-gc', ...script])
  ], {}, name)
}

/** The scripts that a guest runs. */
export const BACKEND_TESTS = join(__dirname, 'backend.js')
export const MACHINE_TESTS = join(__dirname, 'machine.js')
export const NO_KTLS_TESTS = join(__dirname, 'no-ktls.js')

/** Arguments of the first: what run/where leaves out of the guests of `npm test` is not run. */
export const AT_GUEST: readonly string[] = ['--at', 'guest' satisfies Place]
