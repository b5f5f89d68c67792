import type { Comparison, Result } from './comparison'
import type { RatedFigures } from './figures'
import { TITLES } from './titles'

/** A comparison for people. */
export function formatComparison ({ file, size, protocol, cipher, contenders }: Comparison): string {
  const ordinary = contenders.find(({ name }) => name === 'default')?.figures ?? null
  return `${file} (${size} bytes), over ${protocol} with ${cipher}, one connection on the loopback interface:

${row('', 'MB/s', 'CPU s/GB', 'CPU ms/download', 'downloads')}
${contenders.map(rowOf).join('\n')}

${contenders.filter(({ name }) => name !== 'default').flatMap(result => conclusions(result, ordinary)).join('\n')}
CPU is that of the server's process, all threads. The client decrypts in another
process; where it is the slower one, it limits the MB/s.`
}

function row (title: string, ...cells: readonly string[]): string {
  return title.padEnd(20) + cells.map(cell => cell.padStart(17)).join('')
}

function rowOf ({ name, figures, unavailable }: Result): string {
  const title = TITLES[name]
  if (figures === null) return `${title.padEnd(20)}  not available: ${unavailable!.text}`
  const { megabytesPerSecond, cpuSecondsPerGigabyte, cpuMillisecondsPerDownload, downloads } = figures
  return row(title, megabytesPerSecond.toFixed(1), cpuSecondsPerGigabyte.toFixed(3), cpuMillisecondsPerDownload.toFixed(3), String(downloads))
}

function conclusions ({ name, figures, unavailable }: Result, ordinary: RatedFigures | null): string[] {
  if (figures === null) return unavailable!.remedy === null ? [] : [`To have ${TITLES[name]}: ${unavailable!.remedy}`]
  return [
    ...(ordinary === null ? [] : [`With ${TITLES[name]}: ${ratio(figures, ordinary, 'megabytesPerSecond')} times the throughput, for ${ratio(figures, ordinary, 'cpuSecondsPerGigabyte')} times the processor time.`]),
    offloadOf(figures)
  ]
}

function ratio (one: RatedFigures, other: RatedFigures, name: 'megabytesPerSecond' | 'cpuSecondsPerGigabyte'): string {
  return (one[name] / other[name]).toFixed(2)
}

/** A reply that was cut before its head came can count as offloaded alone. */
function offloadOf ({ replies, offloaded: { kernel, threads } }: RatedFigures): string {
  if (kernel >= replies) return 'All its replies were encrypted by the kernel.'
  if (threads >= replies) return 'All its replies were encrypted by sender threads.'
  return `Of its ${replies} replies ${kernel} were encrypted by the kernel, ${threads} by sender threads, the others by Node.`
}
