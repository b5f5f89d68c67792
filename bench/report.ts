import { TIMER_PERIOD } from './running'
import type { Figures, Part, Spread } from './figures'

/** What a nanosecond of the measuring machine stands for. */
export type Unit = 'instructions' | 'seconds'

const PLUGINS = ['fastify-ktls', 'fastify-ktls/static']
const DEFAULT = 'Fastify'

/** In the headings of the two tables of which the picture is drawn. */
export const ALL_THREADS = 'a request, in all threads: median'
export const MAIN_THREAD = 'The same in the main thread alone'

/** Thousands, or whole ones where that is exact enough. */
function inThousands (value: number): string {
  const thousands = value / 1000
  return thousands >= 100 ? Math.round(thousands).toLocaleString('en') : thousands.toPrecision(3)
}

function table (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [row(head), row(head.map(() => '---')), ...rows.map(row), ''].join('\n')
}

/** The tables, as Markdown. */
export function report ({ contenders, workloads, spread, ratio, sizeOf, clientsOf }: Figures, unit: Unit): string {
  const cells = (show: (found: Spread, workload: string) => string, part: Part, rows = workloads) => table(
    ['', ...contenders],
    rows.map(workload => [workload, ...contenders.map(contender => {
      const found = spread(contender, workload, part)
      return found === undefined ? '' : show(found, workload)
    })])
  )
  // Of many clients the clock tells mostly how fast those are.
  const alone = workloads.filter(workload => clientsOf(workload) === 1)
  const watched = workloads.filter(workload => contenders.some(contender => spread(contender, workload, 'late') !== undefined))
  const percent = (share: number) => `${(100 * share).toFixed(1)}%`
  const asShare = ({ median, least, most }: Spread) => `${percent(median)} (${percent(least)}–${percent(most)})`
  const withSpread = ({ median, least, most }: Spread) => `${inThousands(median)} (${inThousands(least)}–${inThousands(most)})`
  const others = contenders.filter(contender => !PLUGINS.includes(contender))
  const ratios = (plugin: string) => table(
    ['', ...others, `main thread, ${DEFAULT}`],
    workloads.map(workload => [
      workload,
      ...[...others.map(other => ratio(workload, 'all', plugin, other)), ratio(workload, 'main', plugin, DEFAULT)]
        .map(found => found === undefined ? '' : `${found.median.toFixed(3)} (${found.least.toFixed(3)}–${found.most.toFixed(3)})`)
    ])
  )
  const what = unit === 'instructions' ? 'Thousands of instructions' : 'Microseconds of processor time'
  return [
    `${what} ${ALL_THREADS} (least–most)`, '', cells(withSpread, 'all'),
    MAIN_THREAD, '', cells(withSpread, 'main'),
    ...PLUGINS.filter(plugin => contenders.includes(plugin)).flatMap(plugin => [
      `${plugin} in all threads as a ratio to each of the others in the same round; last, its main thread to ${DEFAULT}'s: median (least–most)`, '', ratios(plugin)
    ]),
    ...watched.length === 0 ? [] : [`Turns of a ${TIMER_PERIOD} ms timer of the event loop that were late by more than that: median (least–most)`, '', cells(asShare, 'late', watched)],
    ...(unit === 'instructions' || alone.length === 0
      ? []
      : [
          'Microseconds from a request to the last byte of its reply: median (least–most)', '', cells(withSpread, 'elapsed', alone),
          'Megabytes a second over one connection, the client included', '', cells(({ median }, workload) => (sizeOf(workload) / median * 1000).toFixed(0), 'elapsed', alone)
        ])
  ].join('\n')
}
