import type { Readable } from 'node:stream'

/**
 * Copies the bytes of a source up to a mark, then ends the target. A port of the guest has no end of its own, and
 * ending QEMU could cut off what it still holds; the mark proves that all before it has arrived.
 *
 * Never slows the source down: a stream that nobody reads must not stop the guest.
 */
export function copyUntilMark (source: Readable, target: Readable, mark: Buffer): Promise<void> {
  let held: Buffer = Buffer.alloc(0)
  return new Promise(resolve => {
    const onData = (chunk: Buffer): void => {
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      const end = bytes.indexOf(mark)
      const sure = end === -1 ? bytes.length - possibleStart(bytes, mark) : end
      if (sure > 0) target.push(bytes.subarray(0, sure))
      held = bytes.subarray(sure)
      if (end === -1) return
      source.off('data', onData)
      target.push(null)
      resolve()
    }
    source.on('data', onData)
  })
}

/** How many bytes at the end may be the beginning of the mark. */
function possibleStart (bytes: Buffer, mark: Buffer): number {
  for (let length = Math.min(mark.length - 1, bytes.length); length > 0; length--) {
    if (bytes.subarray(bytes.length - length).equals(mark.subarray(0, length))) return length
  }
  return 0
}
