import { readFileSync, readdirSync } from 'node:fs'

/** The ids of this process's threads whose name begins so. */
export function threadsNamed (prefix: string): string[] {
  return readdirSync('/proc/self/task').filter(id => readFileSync(`/proc/self/task/${id}/comm`, 'latin1').startsWith(prefix))
}

/** What a thread has had of processors, in nanoseconds (Documentation/scheduler/sched-stats.rst). */
export function busyTime (id: string): number {
  return Number(readFileSync(`/proc/self/task/${id}/schedstat`, 'latin1').split(' ')[0])
}
