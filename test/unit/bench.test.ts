import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { figuresOf, spreadOf } from '../../bench/figures'
import type { Measurement } from '../../bench/measure'
import { picture } from '../../bench/picture'
import { report } from '../../bench/report'
import { ROOT } from '../support/node'

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

t.test('the picture has the shares of Fastify\'s, of what was measured of both, the largest gain first', async t => {
  const drawn = (svg: string) => Array.from(svg.matchAll(/>([^<>]+)<\/text>/g), ([, text]) => text).slice(6)
  const others = [
    measurement('Fastify', 'large', [4_000_000], [5_000_000]),
    measurement('nginx, kernel TLS', 'large', [3_000_000], [3_000_000])
  ]
  const small = [
    measurement('fastify-ktls/static', 'small', [400_000], [40_000]),
    measurement('Fastify', 'small', [800_000], [800_000])
  ]
  const notOfFastify = measurement('fastify-ktls/static', 'many', [4_000_000], [20_000])
  t.strictSame(drawn(picture(report(figuresOf([...small, notOfFastify]), 'instructions'))), ['small', '5.0 %', '50 %'])
  const both = figuresOf([
    ...small,
    measurement('fastify-ktls/static', 'large ones, many of them', [2_000_000], [10_000]),
    ...others.map(one => ({ ...one, workload: 'large ones, many of them' }))
  ])
  t.strictSame(drawn(picture(report(both, 'instructions'))), ['large ones, many', 'of them', '0.2 %', '50 %', '75 %', 'small', '5.0 %', '50 %'])
})

t.test('the README\'s picture is that of its figures', async t => {
  const read = (name: string) => readFileSync(join(ROOT, 'bench', name), 'utf8')
  t.equal(read('results.svg'), picture(read('results.md')), 'else: node dist/bench/picture.js')
})
