import t from 'tap'
import { processorsInQuota } from '../support/native-parts'

/** cpu.max (Documentation/admin-guide/cgroup-v2.rst), and cpu.cfs_quota_us with cpu.cfs_period_us of version 1. */
const QUOTAS: ReadonlyArray<[quota: string, processors: number]> = [
  ['max 100000', 0],
  ['-1 100000', 0],
  ['100000 100000', 1],
  ['150000 100000', 1],
  ['200000 100000', 2],
  ['399999 100000', 3],
  ['6400000 50000', 128],
  // No less than one, else nothing would be sealed.
  ['50000 100000', 1],
  ['1000 1000000', 1],
  ['50000 100000\n', 1],
  ['', 0],
  [' ', 0],
  ['100000', 0],
  ['100000 max', 0],
  ['100000 0', 0],
  ['0 100000', 0],
  ['100000 -1', 0],
  ['many more', 0],
  ['99999999999999999999 100000', 0]
]

for (const [quota, processors] of QUOTAS) {
  t.test(JSON.stringify(quota), async t => {
    t.equal(processorsInQuota(quota), processors)
  })
}
