import workerThreads from 'node:worker_threads'
import type { Binding, FileRange, LastingBytes, Part, Text } from '../binding'

/** What a Writable hands out. */
export interface Chunk {
  readonly chunk: Uint8Array | string
  readonly encoding: BufferEncoding
}

/** Chunks without memory, which stand for a file's bytes or for a text's on their way through a Writable. */
const standIns = new WeakMap<Uint8Array, FileRange | Text>()

export function chunkFor (range: FileRange): Uint8Array {
  const chunk = Buffer.alloc(0)
  standIns.set(chunk, range)
  return chunk
}

/** Ends what `chunkFor` began; false when the range is the native part's by now, which closes its descriptor. */
export function takeBack (chunk: Uint8Array): boolean {
  return standIns.delete(chunk)
}

/** Tells the length of the text, in UTF-8, as a Buffer would; for a socket whose backend sends. */
export function chunkForText (text: string): Buffer {
  const length = Buffer.byteLength(text)
  const chunk = Object.defineProperties(Buffer.alloc(0), { length: { value: length }, byteLength: { value: length } })
  standIns.set(chunk, { text, length })
  return chunk
}

export function isRange (part: Part): part is FileRange {
  return !ArrayBuffer.isView(part) && Object.hasOwn(part, 'fd')
}

/** Bytes that a chunk stands for. */
export function sizeOf ({ chunk, encoding }: Chunk): number {
  return typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : standIns.get(chunk)?.length ?? chunk.length
}

/** Of nobody else's. */
const copies = new WeakSet<Uint8Array>()

/** The same chunk, whatever becomes of what the application has of it. */
export function copyOf (chunk: Uint8Array | string): Uint8Array | string {
  if (typeof chunk === 'string' || standIns.has(chunk)) return chunk
  const copy = Buffer.from(chunk)
  copies.add(copy)
  return copy
}

const UTF8 = new Set<BufferEncoding>(['utf8', 'utf-8'])

type Memory = Pick<Binding, 'inlineBytes' | 'transferMovesPinned'>

/**
 * File ranges, and data that a sender has to seal, each by itself; each run of smaller data between them as one buffer.
 * The descriptors are the native part's from here on. `lasting` the application does not change before it is sent.
 */
export function partsOf (chunks: readonly Chunk[], lasting: unknown, memory: Memory): Part[] {
  const parts: Part[] = []
  let run: Uint8Array[] = []
  const endRun = () => {
    if (run.length > 0) parts.push(run.length === 1 ? run[0]! : Buffer.concat(run))
    run = []
  }
  for (const { chunk, encoding } of chunks) {
    const standsFor = typeof chunk === 'string' ? undefined : standIns.get(chunk)
    if (standsFor !== undefined) {
      endRun()
      standIns.delete(chunk as Uint8Array)
      parts.push(standsFor)
      continue
    }
    if (chunk.length === 0) continue
    if (typeof chunk === 'string' && chunk.length > memory.inlineBytes && UTF8.has(encoding)) {
      endRun()
      parts.push({ text: chunk, length: Buffer.byteLength(chunk) } satisfies Text)
      continue
    }
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk
    if (bytes.length <= memory.inlineBytes) {
      run.push(bytes)
      continue
    }
    endRun()
    const isOwn = bytes !== chunk || copies.has(bytes)
    parts.push(isOwn || (bytes === lasting && stays(bytes, memory)) ? { bytes, length: bytes.length } satisfies LastingBytes : bytes)
  }
  endRun()
  return parts
}

// Node 21 and later.
const { isMarkedAsUntransferable } = workerThreads as { isMarkedAsUntransferable?: (object: object) => boolean }

/**
 * Whether the memory of the application's data, pinned, stays where it is. What another addon has lent is gone with the
 * worker that has it; on Node 20, where nobody can tell, after what is pinned is (native/addon/environment.h, Pin).
 */
function stays ({ buffer }: Uint8Array, { transferMovesPinned }: Memory): boolean {
  if (transferMovesPinned && 'transfer' in ArrayBuffer.prototype) return false
  return isMarkedAsUntransferable?.(buffer) !== true
}
