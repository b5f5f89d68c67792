import { existsSync, readFileSync, readdirSync } from 'node:fs'

/** Nanoseconds of processor time; under QEMU's icount, instructions. */
export interface Usage {
  readonly all: number
  /** Of that the main thread's, which for Node is the event loop's. */
  readonly main: number
}

/** What a process has used so far (Documentation/scheduler/sched-stats.rst: the first figure). */
export function usageOf (pid: number): Usage {
  let [all, main] = [0, 0]
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const used = Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ', 1)[0])
    all += used
    if (task === String(pid)) main = used
  }
  return { all, main }
}

const COUNTERS = '/proc/net/tls_stat'

/** Sockets to which the kernel has given a software transmit key, since boot (Documentation/networking/tls.rst). */
export function promotions (): number {
  // A kernel without the module has given none.
  if (!existsSync(COUNTERS)) return 0
  return Number(/^TlsTxSw\s+(\d+)$/m.exec(readFileSync(COUNTERS, 'latin1'))![1])
}
