import { join } from 'node:path'

const { mallocInfo }: { mallocInfo (): string } = require(join(__dirname, '../../../native/build/Release/heap_info.node'))

export interface MemoryInUse {
  /** Bytes that malloc has given out and not got back: the addon's, OpenSSL's, Node's own, the contents of Buffers. */
  native: number
  /** Bytes of JavaScript's heap that a garbage collection leaves. */
  heap: number
}

/**
 * What the process holds, to the byte. Resident memory says less: it grows and
 * shrinks by megabytes with what the allocators keep for later. Needs --expose-gc.
 */
export async function memoryInUse (): Promise<MemoryInUse> {
  // V8 drops the code of a function that some collections found unused, and
  // finalizers free native memory after one.
  for (let i = 0; i < 12; i++) {
    global.gc!()
    await new Promise(resolve => { setImmediate(resolve) })
  }
  // What another thread works with for a moment is in some of the readings only.
  let native = Infinity
  for (let i = 0; i < 5; i++) {
    native = Math.min(native, nativeInUse())
    global.gc!()
    await new Promise(resolve => { setImmediate(resolve) })
  }
  return { native, heap: process.memoryUsage().heapUsed }
}

function nativeInUse (): number {
  const xml = mallocInfo()
  // The totals over all arenas come last.
  const total = (element: string): number => Number(xml.slice(xml.lastIndexOf(element)).match(/size="(\d+)"/)![1])
  return total('<system type="current"') + total('<total type="mmap"') - total('<total type="fast"') - total('<total type="rest"')
}
