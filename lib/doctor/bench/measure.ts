import type { Contender } from './contender'
import type { Figures } from './figures'

/**
 * Downloads one after the other for so many milliseconds. One that would not be whole by
 * then is not begun, but for the first; what is under way then is cut.
 */
export async function measure (contender: Pick<Contender, 'usage' | 'download'>, milliseconds: number): Promise<Figures> {
  const before = await contender.usage()
  const start = performance.now()
  const signal = AbortSignal.timeout(Math.round(milliseconds))
  let [bytes, replies, downloads, slowest] = [0, 0, 0, 0]
  for (;;) {
    const began = performance.now()
    const { size, whole, session } = await contender.download(signal)
    bytes += size
    if (session !== null) replies++
    if (!whole) break
    downloads++
    slowest = Math.max(slowest, performance.now() - began)
    if (performance.now() + slowest > start + milliseconds) break
  }
  const seconds = (performance.now() - start) / 1000
  const after = await contender.usage()
  return {
    bytes,
    seconds,
    cpuSeconds: (after.cpu - before.cpu) / 1e6,
    downloads,
    replies,
    offloaded: {
      kernel: after.offloaded.kernel - before.offloaded.kernel,
      threads: after.offloaded.threads - before.offloaded.threads
    }
  }
}
