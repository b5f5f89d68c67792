import { setImmediate } from 'node:timers/promises'

/** Turns the event loop until the condition holds; the test's own time limit is the bound. */
export async function until (condition: () => boolean): Promise<void> {
  while (!condition()) await setImmediate()
}
