import type { Binding } from './binding'
import { abandonAll, onTransmitEvent } from './transmit'

/** How long the end of the process waits for bytes that were reported as written. */
const EXIT_DRAIN_MS = 1000

let started: Binding | undefined

/** Connects the native part to this environment, once. */
export function startBinding (binding: Binding): void {
  if (started === binding) return
  started = binding
  binding.start(onTransmitEvent)
  // The loop stays alive while connections drain; process.exit() does not ask it.
  process.once('exit', () => {
    abandonAll()
    binding.drain(EXIT_DRAIN_MS)
  })
}
