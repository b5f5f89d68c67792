/*
 * The README's picture, drawn from the tables of a report, so that neither shows other
 * figures than the other. Drawn anew without a measurement by `node dist/bench/picture.js`,
 * from results.md.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ALL_THREADS, MAIN_THREAD } from './report'

interface Bar {
  /** Of the contender, in which threads. */
  readonly contender: string
  readonly heading: string
  readonly meaning: string
}

/** Whose figures those of the others are shares of. */
const WHOLE = 'Fastify'

/** The first one orders the workloads: what is gained most comes first. */
const BARS: readonly Bar[] = [
  { contender: 'fastify-ktls/static', heading: MAIN_THREAD, meaning: 'fastify-ktls/static, event loop' },
  { contender: 'fastify-ktls/static', heading: ALL_THREADS, meaning: 'fastify-ktls/static, all threads' },
  { contender: 'nginx, kernel TLS', heading: ALL_THREADS, meaning: 'nginx with kernel TLS, all threads' }
]

/*
 * In pixels where it is not scaled. A phone shows the README 358 pixels wide, and there the
 * smallest letters should have 11.
 */
const WIDTH = 400
const FONT = 13
const LINE = 17
const [MARGIN, LABELS] = [12, 116]
const [BAR, GAP] = [14, 10]

/** Room for a figure, which stands to the right of Fastify's line where it would cross it. */
const VALUE = 50

/** Up to Fastify's line, to the right of which is what costs more; less where a bar would not fit. */
const WHOLE_WIDTH = 200

/** What a line of a workload's name has room for, in letters. */
const NAME = /\S.{0,15}(?= |$)/g

const STYLE = `
.ground { fill: #fff } text { fill: #1c2430 } .muted { fill: #5c6675 } .whole { stroke: #8a93a1 }
.bar0 { fill: #1a7f4b } .bar1 { fill: #6fb592 } .bar2 { fill: #a9b1bd }
@media (prefers-color-scheme: dark) {
.ground { fill: #14171c } text { fill: #e4e8ee } .muted { fill: #98a2b1 } .whole { stroke: #78818f }
.bar0 { fill: #5ed29a } .bar1 { fill: #35805c } .bar2 { fill: #5b6472 }
}`

/** A group of bars for each workload, each contender's median as a share of Fastify's in the same threads. */
export function picture (report: string): string {
  const tables = new Map(BARS.map(({ heading }) => [heading, tableBelow(report, heading)]))
  const shares = (workload: string) => BARS.map(({ contender, heading }) => {
    const row = tables.get(heading)?.get(workload)
    return row === undefined ? NaN : row[contender]! / row[WHOLE]!
  })
  const groups = [...tables.get(MAIN_THREAD)!.keys()]
    .map(workload => ({ workload, shares: shares(workload) }))
    .filter(({ shares }) => shares.some(share => share >= 0))
    .sort((one, other) => one.shares[0]! - other.shares[0]!)

  const left = MARGIN + LABELS
  const most = Math.max(...groups.flatMap(({ shares }) => shares.filter(share => share >= 0)))
  const whole = Math.floor(Math.min(WHOLE_WIDTH, (WIDTH - left - VALUE) / most))
  const parts: string[] = []
  let y = MARGIN
  const line = (x: number, text: string, attributes = '') => parts.push(`<text x="${x}" y="${y + FONT - 1}"${attributes}>${text}</text>`)
  line(MARGIN, 'Instructions a request costs', ' font-weight="bold"')
  y += LINE
  line(MARGIN, `as a share of what it costs ${WHOLE} over HTTPS`, ' class="muted"')
  y += LINE + 4
  for (const [index, { meaning }] of BARS.entries()) {
    parts.push(`<rect class="bar${index}" x="${MARGIN}" y="${y + 2}" width="11" height="11"/>`)
    line(MARGIN + 18, meaning)
    y += LINE
  }
  y += LINE
  line(left + whole, `${WHOLE}: 100 %`, ' class="muted" text-anchor="middle"')
  y += LINE + 2
  const top = y
  for (const { workload, shares } of groups) {
    const names = workload.match(NAME) ?? []
    for (const [index, name] of names.entries()) {
      parts.push(`<text x="${left - 8}" y="${y + FONT - 2 + (BARS.length - names.length) * BAR / 2 + index * LINE}" text-anchor="end">${name}</text>`)
    }
    for (const [index, share] of shares.entries()) {
      if (share >= 0) {
        const width = Math.max(share * whole, 1)
        parts.push(
          `<rect class="bar${index}" x="${left}" y="${y}" width="${width.toFixed(1)}" height="${BAR - 2}"/>`,
          `<text x="${(left + Math.max(width, width + VALUE > whole ? whole : 0) + 5).toFixed(1)}" y="${y + FONT - 2}">${percent(share)}</text>`
        )
      }
      y += BAR
    }
    y += GAP
  }
  const height = y
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="${FONT}">`,
    `<title>Instructions a request, as a share of ${WHOLE}'s</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${height}" rx="6"/>`,
    `<path class="whole" d="M${left + whole} ${top - 4}V${height - GAP}" stroke-dasharray="2 3"/>`,
    ...parts, '</svg>', ''
  ].join('\n')
}

/** Whole ones but for the smallest. */
function percent (share: number): string {
  return `${share < 0.1 ? (100 * share).toFixed(1) : Math.round(100 * share)} %`
}

/** The medians of the first table whose heading has these words, by workload and contender. */
function tableBelow (report: string, heading: string): Map<string, Record<string, number>> {
  const lines = report.split('\n')
  const below = lines.slice(lines.findIndex(line => line.includes(heading)) + 2)
  const [head, , ...rows] = below.slice(0, below.indexOf('')).map(row => row.split('|').slice(1, -1).map(cell => cell.trim()))
  return new Map(rows.map(([workload, ...cells]) => [
    workload!,
    Object.fromEntries(cells.flatMap((cell, index) => cell === '' ? [] : [[head![index + 1]!, parseFloat(cell.replace(/,/g, ''))]]))
  ]))
}

if (require.main === module) {
  const folder = join(__dirname, '../../bench')
  writeFileSync(join(folder, 'results.svg'), picture(readFileSync(join(folder, 'results.md'), 'utf8')))
}
