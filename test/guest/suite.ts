import { join } from 'node:path'
import { certificate } from '../certificate'
import { onExt4 } from '../vm/ext4'
import type { KernelName } from '../vm/kernels'

const CLI = join(__dirname, '../vm/cli.js')

/** Bound on one guest's life, in seconds. */
const TIMEOUT = 1800

export interface GuestRun {
  readonly kernel: KernelName
  /** The Node binary that runs the tests. */
  readonly node: string
  /** A compiled script and its arguments; it prints TAP. */
  readonly script: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly withholdTls?: boolean
  /** MiB. @defaultValue 3072 */
  readonly memory?: number
}

/** Runs a script in a guest as a subtest. */
export async function runSuite (t: Tap.Test, name: string, { kernel, node, script, env = {}, withholdTls, memory = 3072 }: GuestRun): Promise<void> {
  await t.spawn(process.execPath, [
    CLI,
    '--kernel', kernel,
    ...(withholdTls === true ? ['--withhold-tls'] : []),
    '--memory', String(memory),
    '--timeout', String(TIMEOUT),
    '--env', 'TAP=1',
    '--env', `TAP_TIMEOUT=${TIMEOUT}`,
    // Made here: key generation takes its time in an emulated processor.
    ...Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    '--env', `KTLS_TEST_CERTIFICATE=${JSON.stringify(await certificate())}`,
    '--',
    ...onExt4([node, '--expose-gc', ...script])
  ], {}, name)
}

export const KERNEL_TESTS = join(__dirname, '../kernel/run.js')

/**
 * What `npm test` runs on the other of its two kernels only: it takes minutes, and
 * asks little of the kernel's version. guest/everything.full leaves nothing out.
 */
export const LEFT_OUT = {
  6.12: ['endurance.alone'],
  newest: ['doctor', 'examples', 'plugins', 'secrets']
} as const

/** All of them are more than one guest has the time for. */
export function everyOtherTest (part: '1/2' | '2/2', without: readonly string[]): string[] {
  return [KERNEL_TESTS, '--part', part, ...without.flatMap(name => ['--without', name])]
}

/** What spoils the guest's network and disk. */
export const FAULT_TESTS = join(__dirname, '../faults/run.js')

/** Every system call of the transmit path fails, in front of the guest's kernel. */
export const FAULT_TABLE = {
  script: [join(__dirname, '../double/faults.test.js')],
  env: { KTLS_TEST_ADDON: 'fastify_ktls_faults' }
}
