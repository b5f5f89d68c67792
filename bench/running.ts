/** Milliseconds. */
export const TIMER_PERIOD = 10

/** A server under measurement. */
export interface Running {
  readonly port: number
  /** Of the process that answers. */
  readonly pid: number
  stop (): Promise<void>
  /** Watches the event loop by a timer of {@link TIMER_PERIOD}; the returned function tells which share of its turns was late by more than that. */
  watch? (): Promise<() => Promise<number>>
  /** The replies so far whose body went past the event loop by the backend under measurement, as the plugin counts them. */
  offloaded? (): Promise<number>
}
