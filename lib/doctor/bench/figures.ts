import type { Backend } from '../../../types/index'

/** Both servers speak HTTPS. */
export type TlsBackend = Exclude<Backend, 'plain'>

/** What one contender did in the time it was measured. */
export interface Figures {
  /** Of bodies. */
  readonly bytes: number
  readonly seconds: number
  /** Processor time of the server's process, all threads. */
  readonly cpuSeconds: number
  readonly replies: number
  /** Of these by path 'file', by who sealed them. */
  readonly offloaded: Readonly<Record<TlsBackend, number>>
}

export interface Comparison {
  readonly file: string
  /** Bytes. */
  readonly size: number
  readonly version: string
  readonly cipher: string
  /** Fastify as it is. */
  readonly ordinary: Figures
  readonly plugin: Figures
}

export function addFigures (parts: readonly Figures[]): Figures {
  const sum = { bytes: 0, seconds: 0, cpuSeconds: 0, replies: 0, offloaded: { kernel: 0, threads: 0 } }
  for (const part of parts) {
    sum.bytes += part.bytes
    sum.seconds += part.seconds
    sum.cpuSeconds += part.cpuSeconds
    sum.replies += part.replies
    sum.offloaded.kernel += part.offloaded.kernel
    sum.offloaded.threads += part.offloaded.threads
  }
  return sum
}

/** Megabytes of 10^6 bytes. */
function throughput ({ bytes, seconds }: Figures): number {
  return bytes / 1e6 / seconds
}

/** Seconds of processor time for 10^9 bytes. */
function cost ({ cpuSeconds, bytes }: Figures): number {
  return cpuSeconds / (bytes / 1e9)
}

export function formatComparison ({ file, size, version, cipher, ordinary, plugin }: Comparison): string {
  const row = (name: string, ...cells: readonly string[]) => name.padEnd(20) + cells.map(cell => cell.padStart(17)).join('')
  const rowOf = (name: string, figures: Figures) => row(
    name,
    throughput(figures).toFixed(1),
    cost(figures).toFixed(3),
    (figures.cpuSeconds / figures.replies * 1000).toFixed(3),
    String(figures.replies)
  )
  return `${file} (${size} bytes), over ${version} with ${cipher}, one connection on the loopback interface:

${row('', 'MB/s', 'CPU s/GB', 'CPU ms/download', 'downloads')}
${rowOf('Fastify', ordinary)}
${rowOf('with fastify-ktls', plugin)}

With the plugin: ${ratio(throughput(plugin), throughput(ordinary))} times the throughput, for ${ratio(cost(plugin), cost(ordinary))} times the processor time.
${offloadOf(plugin)}
CPU is that of the server's process, all threads. The client decrypts in another
process; where it is the slower one, it limits the MB/s.`
}

function ratio (one: number, other: number): string {
  return (one / other).toFixed(2)
}

function offloadOf ({ replies, offloaded: { kernel, threads } }: Figures): string {
  if (kernel === replies) return 'All its replies were encrypted by the kernel.'
  if (threads === replies) return 'All its replies were encrypted by sender threads.'
  return `Of its ${replies} replies ${kernel} were encrypted by the kernel and ${threads} by sender threads; files below the option minSize (65536 bytes) are written by Node.`
}
