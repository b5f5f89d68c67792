import t from 'tap'
import { figuresOf, spreadOf } from '../../bench/figures'
import type { Measurement } from '../../bench/measure'
import { picture } from '../../bench/picture'
import { report } from '../../bench/report'

function measurement (contender: string, workload: string, all: number[], main: number[], late: number[] = []): Measurement {
  return { contender, workload, size: 1000, clients: workload === 'many' ? 64 : 1, all, main, elapsed: all.map(one => one * 2), late }
}

const figures = figuresOf([
  measurement('fastify-ktls', 'small', [500_000, 300_000, 400_000], [50_000, 30_000, 40_000]),
  measurement('Fastify', 'small', [800_000, 900_000, 700_000], [800_000, 900_000, 700_000]),
  measurement('fastify-ktls', 'large', [2_000_000], [10_000], [0.25, 0, 0.031]),
  measurement('fastify-ktls', 'many', [4_000_000], [20_000])
])

t.test('median, least and most', async t => {
  t.strictSame(spreadOf([3, 1, 2]), { median: 2, least: 1, most: 3 })
  t.strictSame(spreadOf([4, 1, 2, 3]), { median: 2.5, least: 1, most: 4 })
  t.strictSame(spreadOf([7]), { median: 7, least: 7, most: 7 })
})

t.test('the tables', async t => {
  const lines = report(figures, 'instructions').split('\n')
  t.ok(lines.includes('| small | 400 (300–500) | 800 (700–900) |'))
  t.ok(lines.includes('| small | 40.0 (30.0–50.0) | 800 (700–900) |'), 'the main thread')
  t.ok(lines.includes('| small | 0.571 (0.333–0.625) | 0.057 (0.033–0.063) |'), 'the ratios, of figures of the same round')
  t.ok(lines.includes('| large | 2,000 (2,000–2,000) |  |'), 'what was not measured')
  t.ok(lines.includes('| large |  |  |'))
  t.ok(lines.includes('| large | 3.1% (0.0%–25.0%) |  |'), 'how late the event loop was')
  t.equal(lines.filter(line => line.includes('| small |')).length, 3, 'and only where it was watched')
  t.notMatch(lines.join(), /Microseconds|Megabytes/)
  const seconds = report(figures, 'seconds').split('\n')
  t.ok(seconds.includes('| small | 800 (600–1,000) | 1,600 (1,400–1,800) |'), 'latency')
  t.ok(seconds.includes('| small | 1 | 1 |'), '1000 bytes in 800 microseconds')
  t.equal(seconds.filter(line => line.startsWith('| large |')).length, 6, 'one client')
  t.equal(seconds.filter(line => line.startsWith('| many |')).length, 3, 'the clock of many clients says nothing of the server')
})

t.test('the picture has a bar for each figure', async t => {
  const svg = picture(figures, 'Instructions')
  t.equal(svg.match(/height="10" fill="#(?:1d6fb8|8a8f98)"\/><text/g)?.length, 2, 'the legend')
  t.strictSame(Array.from(svg.matchAll(/font-size="10">([\d.]+)</g), ([, share]) => share), ['0.50', '1.00', '1.00', '1.00'])
})
