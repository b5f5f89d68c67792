import type { Figures } from './figures'

const COLOURS = ['#1d6fb8', '#8a8f98', '#c3c7cd', '#2f8f5b', '#9cc9ae']
const [LABELS, BARS, VALUES] = [130, 520, 60]
const [BAR, GAP, LEGEND] = [12, 14, 30]

/** One group of bars a workload: each contender's median as a share of the largest. */
export function picture ({ contenders, workloads, spread }: Figures, unit: string): string {
  const bars: string[] = []
  let y = LEGEND
  for (const workload of workloads) {
    const medians = contenders.map(contender => spread(contender, workload, 'all')?.median)
    const largest = Math.max(...medians.map(median => median ?? 0))
    bars.push(`<text x="${LABELS - 10}" y="${y + BAR * contenders.length / 2 + 4}" text-anchor="end">${workload}</text>`)
    for (const [index, median] of medians.entries()) {
      if (median === undefined) continue
      const width = Math.max(1, Math.round(BARS * median / largest))
      bars.push(`<rect x="${LABELS}" y="${y}" width="${width}" height="${BAR - 2}" fill="${COLOURS[index]!}"/>`)
      bars.push(`<text x="${LABELS + width + 4}" y="${y + BAR - 3}" font-size="10">${(median / largest).toFixed(2)}</text>`)
      y += BAR
    }
    y += GAP
  }
  const legend = contenders.map((contender, index) =>
    `<rect x="${LABELS + index * 125}" y="6" width="10" height="10" fill="${COLOURS[index]!}"/><text x="${LABELS + index * 125 + 14}" y="15" font-size="11">${contender}</text>`)
  const width = LABELS + BARS + VALUES
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" font-family="sans-serif" font-size="12">`,
    `<title>${unit} a request, as a share of the dearest</title>`,
    `<rect width="${width}" height="${y}" fill="#fff"/>`,
    ...legend, ...bars, '</svg>', ''
  ].join('\n')
}
