import type { Measurement } from './measure'

/** Of a figure's samples. */
export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
}

export type Part = 'all' | 'main' | 'elapsed' | 'late'

/** The measurements by contender and workload, each in the order in which it came. */
export interface Figures {
  readonly contenders: readonly string[]
  readonly workloads: readonly string[]
  /** undefined: not measured. */
  spread (contender: string, workload: string, part: Part): Spread | undefined
  /** Of one contender's figure to another's in the same round. */
  ratio (workload: string, part: Part, contender: string, other: string): Spread | undefined
  sizeOf (workload: string): number
  clientsOf (workload: string): number
}

export function spreadOf (samples: readonly number[]): Spread {
  const sorted = [...samples].sort((one, other) => one - other)
  const middle = sorted.length / 2
  return {
    median: (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2,
    least: sorted[0]!,
    most: sorted.at(-1)!
  }
}

export function figuresOf (measurements: readonly Measurement[]): Figures {
  const find = (contender: string, workload: string) => measurements.find(one => one.contender === contender && one.workload === workload)
  const spread = (contender: string, workload: string, part: Part) => {
    const found = find(contender, workload)
    return found === undefined || found[part].length === 0 ? undefined : spreadOf(found[part])
  }
  return {
    contenders: [...new Set(measurements.map(({ contender }) => contender))],
    workloads: [...new Set(measurements.map(({ workload }) => workload))],
    spread,
    ratio: (workload, part, contender, other) => {
      const [above, below] = [find(contender, workload)?.[part], find(other, workload)?.[part]]
      return above && below && spreadOf(above.map((figure, round) => figure / below[round]!))
    },
    sizeOf: workload => measurements.find(one => one.workload === workload)!.size,
    clientsOf: workload => measurements.find(one => one.workload === workload)!.clients
  }
}
