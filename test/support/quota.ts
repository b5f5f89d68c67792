import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** In microseconds, the kernel's default (Documentation/scheduler/sched-bwc.rst). */
const PERIOD = 100_000

const VERSION_1 = '/sys/fs/cgroup/cpu'
const VERSION_2 = '/sys/fs/cgroup'

/** A control group (man 7 cgroups) that gives a process the time of one processor. */
export class Quota {
  readonly #folder: string

  constructor (pid: number) {
    const old = existsSync(join(VERSION_1, 'cpu.cfs_quota_us'))
    this.#folder = join(old ? VERSION_1 : VERSION_2, `fastify-ktls-test-${pid}`)
    if (!old) writeFileSync(join(VERSION_2, 'cgroup.subtree_control'), '+cpu')
    mkdirSync(this.#folder)
    if (old) this.#set('cpu.cfs_quota_us', PERIOD)
    else this.#set('cpu.max', PERIOD)
    this.#set('cgroup.procs', pid)
  }

  #set (name: string, value: number): void {
    writeFileSync(join(this.#folder, name), String(value))
  }

  /** Once the process has ended. */
  remove (): void {
    rmdirSync(this.#folder)
  }
}
