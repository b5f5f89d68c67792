/** How long after its time a comparison is given up that has not ended, in milliseconds: a busy machine, a slow disk. */
export const MARGIN = 2000

/** What the time was too short for. */
export class OutOfTime extends Error {
  constructor (what: string) {
    super(`the time was over before ${what}; give it more by --seconds`)
  }
}

/** The time for a comparison, which begins with the process. In milliseconds, as `performance.now()` counts them. */
export class Time {
  readonly seconds: number
  readonly end: number

  constructor (seconds: number) {
    this.seconds = seconds
    this.end = seconds * 1000
  }

  get left (): number {
    return Math.max(this.end - performance.now(), 0)
  }

  /** Aborted when this part of the time that is left has gone. */
  part (share: number): AbortSignal {
    return AbortSignal.timeout(Math.round(this.left * share))
  }
}
