import type { Backend } from '../../../types/index'

/** Both speak HTTPS. */
export type TlsBackend = Exclude<Backend, 'plain'>

/** What one contender did in the time it was measured. */
export interface Figures {
  /** Of bodies, as the client got them. */
  readonly bytes: number
  readonly seconds: number
  /** Processor time of the server's process, all threads. */
  readonly cpuSeconds: number
  /** Whole ones: one that was cut as its turn was over counts for its bytes alone. */
  readonly downloads: number
  /** All that were begun. */
  readonly replies: number
  /** Of these by path 'file', by who encrypted them. */
  readonly offloaded: Readonly<Record<TlsBackend, number>>
}

/** What follows from them. */
export interface RatedFigures extends Figures {
  /** Of 10^6 bytes. */
  readonly megabytesPerSecond: number
  /** Processor time for 10^9 bytes. */
  readonly cpuSecondsPerGigabyte: number
  /** Processor time for the whole file. */
  readonly cpuMillisecondsPerDownload: number
}

export function addFigures (parts: readonly Figures[]): Figures {
  const sum = { bytes: 0, seconds: 0, cpuSeconds: 0, downloads: 0, replies: 0, offloaded: { kernel: 0, threads: 0 } }
  for (const part of parts) {
    sum.bytes += part.bytes
    sum.seconds += part.seconds
    sum.cpuSeconds += part.cpuSeconds
    sum.downloads += part.downloads
    sum.replies += part.replies
    sum.offloaded.kernel += part.offloaded.kernel
    sum.offloaded.threads += part.offloaded.threads
  }
  return sum
}

/** `size` is the file's, in bytes. */
export function rate (figures: Figures, size: number): RatedFigures {
  const { bytes, seconds, cpuSeconds } = figures
  return {
    ...figures,
    megabytesPerSecond: bytes / 1e6 / seconds,
    cpuSecondsPerGigabyte: cpuSeconds * 1e9 / bytes,
    cpuMillisecondsPerDownload: cpuSeconds * size * 1000 / bytes
  }
}
