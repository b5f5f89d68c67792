import { setImmediate, setTimeout } from 'node:timers/promises'

/** Turns of the event loop after which what is waited for takes longer than a look at it. */
const PATIENCE = 50

/** Milliseconds: more than any wait takes in an emulated processor. */
const LIMIT = 300_000

/** Turns the event loop until the condition holds. Rejects after five minutes, with the condition. */
export async function until (condition: () => boolean): Promise<void> {
  const end = performance.now() + LIMIT
  // Then at rest in between: other threads and processes need the processor that this would keep busy.
  for (let turns = 0; !condition(); turns++) {
    if (performance.now() > end) throw new Error(`not within ${LIMIT / 1000} s: ${condition.toString()}`)
    await (turns < PATIENCE ? setImmediate() : setTimeout(1))
  }
}
