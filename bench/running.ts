/** A server under measurement. */
export interface Running {
  readonly port: number
  /** Of the process that answers. */
  readonly pid: number
  stop (): Promise<void>
}
