import { join } from 'node:path'
import { certificate } from '../certificate'
import { onExt4 } from '../vm/ext4'
import type { KernelName } from '../vm/kernels'

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

export const KERNEL_TESTS = join(__dirname, './backend.js')

/**
 * What `npm test` runs on one of its two kernels only; guest/everything.full leaves
 * nothing out. One is enough where the kernel's part is the same in each version:
 * what Node, Fastify and the library do around it (contexts, equivalence, servers,
 * upgrade, mixed, …), or how much it takes (senders, slow clients, large bodies), whose
 * minutes an emulated processor has only once. Both have what the versions differ in:
 * keys, control records, the end of a connection, what a cut transfer leaves behind.
 */
export const LEFT_OUT = {
  6.12: ['endurance.alone', 'processes'],
  newest: [
    'clients', 'closing-server', 'contexts', 'doctor', 'equivalence', 'examples', 'file-changes', 'large', 'manners', 'mixed',
    'neighbours', 'plugins', 'renegotiation', 'resumption', 'secrets', 'senders.alone', 'servers', 'slow-clients', 'small-files', 'upgrade'
  ]
} as const

/** Without `part` all in one guest. */
export function kernelTests (without: readonly string[], part: '1/1' | '1/2' | '2/2' = '1/1'): string[] {
  return [KERNEL_TESTS, '--part', part, ...without.flatMap(name => ['--without', name])]
}

/** What spoils the guest's network and disk; those named, else all. */
export const FAULT_TESTS = join(__dirname, './machine.js')
