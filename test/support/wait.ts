import { setImmediate, setTimeout } from 'node:timers/promises'

/** Turns of the event loop after which what is waited for takes longer than a look at it. */
const PATIENCE = 50

/** Turns the event loop until the condition holds; the test's own time limit is the bound. */
export async function until (condition: () => boolean): Promise<void> {
  // Then at rest in between: other threads and processes need the processor that this would keep busy.
  for (let turns = 0; !condition(); turns++) await (turns < PATIENCE ? setImmediate() : setTimeout(1))
}
