/* Conditional requests and ranges, answered from kept files: byte for byte as @fastify/static does, cold and warm. */
import { mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyStaticOptions } from '@fastify/static'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { fileCountersOf } from '../../lib/observe/file-counters'
import { makeFolder } from '../support/files'
import { Random } from '../support/random'
import { until } from '../support/wait'
import { compared, comparedOverSockets, seeing } from './compared'

const STEPS = 2000
const SIZES = [0, 1, 2, 1000, 70_000]

const root = makeFolder(t)
for (const size of SIZES) {
  for (const suffix of ['', '.br']) writeFileSync(join(root, `${size}.txt${suffix}`), Array.from({ length: size }, (_, i) => i % 10).join(''))
}
mkdirSync(join(root, 'sub'))
writeFileSync(join(root, 'sub/index.html'), '<p>index</p>')
const whole = 1_500_000_000
utimesSync(join(root, '1000.txt'), whole, whole)

const OPTIONS: ReadonlyArray<FastifyStaticOptions> = [
  { root }, { root, preCompressed: true }, { root, etag: false }, { root, lastModified: false }, { root, etag: false, lastModified: false }, { root, acceptRanges: false },
  { root, cacheControl: false, contentType: false }, { root: [join(root, 'sub'), root], index: ['first.html', 'index.html'] }, { root, wildcard: false },
  { root, setHeaders: (reply, path, stat) => { reply.header('x-file', `${path} ${stat.size}`).header('vary', 'origin').header('cache-control', 'private') } }
]

t.before(() => until(() => Date.now() - statSync(root).ctimeMs > 50))

t.test('random headers', async t => {
  const seed = Number(process.env.KTLS_TEST_SEED ?? Date.now() % 1e6)
  const steps = Number(process.env.KTLS_TEST_STEPS ?? STEPS)
  t.comment(`KTLS_TEST_SEED=${seed} KTLS_TEST_STEPS=${steps}`)
  const random = new Random(seed)
  const all = await Promise.all(OPTIONS.map((options, i) => i % 2 === 0 ? comparedOverSockets(t, options) : compared(t, options, seeing)))
  const position = () => random.pick(['', '0', '1', `${random.below(1200)}`, '999', '1000', '69999', '70000', '123456789012', 'x', '-1'])
  const range = () => random.pick([() => `${position()}-${position()}`, () => `${position()}-${position()},${position()}-${position()}`, () => `${position()}-`, () => `-${position()}`])()
  const headersFor = (size: number) => {
    const { mtime, size: length } = statSync(join(root, `${size}.txt`))
    const tag = () => random.pick([`W/"${length.toString(16)}-${mtime.getTime().toString(16)}"`, `"${length.toString(16)}-${mtime.getTime().toString(16)}"`, 'W/"none"', '*', ''])
    const date = () => random.pick([mtime, new Date(mtime.getTime() + 5000), new Date(mtime.getTime() - 5000)].map(date => date.toUTCString()).concat('never', '', mtime.toISOString()))
    const make: Record<string, () => string> = {
      'if-none-match': () => random.pick([tag, () => `${tag()}, ${tag()}`])(),
      'if-modified-since': date,
      'if-match': tag,
      'if-unmodified-since': date,
      range: () => random.pick(['bytes=', 'bytes=', 'bytes=', ' bytes=', 'Bytes=', 'items=', '']) + range(),
      'if-range': () => random.pick([tag, date])(),
      'cache-control': () => random.pick(['no-cache', 'max-age=0', 'no-store, no-cache']),
      'accept-encoding': () => random.pick(['br', 'gzip', 'br;q=0', '*', 'identity'])
    }
    const names = random.pick([['range'], ['range', 'if-range'], ['if-none-match'], ['if-modified-since'], ['if-none-match', 'cache-control'], Object.keys(make)])
    return Object.fromEntries(names.filter(() => random.below(4) > 0).map(name => [name, make[name]!()]))
  }
  const wrong: unknown[] = []
  for (let step = 1; step <= steps && wrong.length === 0; step++) {
    const size = random.pick(SIZES)
    const request: InjectOptions = { method: random.pick(['GET', 'GET', 'GET', 'HEAD']), url: random.pick([`/${size}.txt`, `/${size}.txt`, '/sub/', '/sub', '/']), headers: headersFor(size) }
    const { ask } = random.pick(all)
    for (let time = 0; time <= random.below(5); time++) {
      const [kept, plain] = await ask(request)
      if (kept !== plain) wrong.push(`step ${step}`, request, kept, plain)
    }
  }
  t.strictSame(wrong, [])
  const hits = all.reduce((sum, { kept }) => sum + fileCountersOf(kept.server).snapshot().hits, 0)
  t.ok(hits > steps / 3, `${hits} from what is kept`)
})

t.test('which of them are answered from what is kept', async t => {
  const { mtime } = statSync(join(root, '1000.txt'))
  const { kept } = await compared(t, { root })
  const counters = fileCountersOf(kept.server)
  for (const [headers, status, method = 'GET'] of [
    [{}, 200], [{ range: 'bytes=0-9' }, 206], [{ range: 'bytes=-9' }, 206], [{ range: 'bytes=990-' }, 206], [{ range: 'bytes=0-1,4-5' }, 200], [{}, 200, 'HEAD'],
    [{ 'if-modified-since': mtime.toUTCString() }, 304], [{ 'if-none-match': '*' }, 304], [{ 'if-range': mtime.toUTCString(), range: 'bytes=1-1' }, 206]
  ] as ReadonlyArray<[Record<string, string>, number, ('GET' | 'HEAD')?]>) {
    for (let time = 1; time <= 3; time++) t.equal((await kept.inject({ method, url: '/1000.txt', headers })).statusCode, status)
    const before = counters.snapshot().hits
    t.equal((await kept.inject({ method, url: '/1000.txt', headers })).statusCode, status)
    t.equal(counters.snapshot().hits - before, 1, JSON.stringify([method, headers]))
  }
})

t.test('other ranges of a file are answered from what was learnt by one', async t => {
  const { kept, ask } = await compared(t, { root })
  for (const range of ['bytes=0-0', 'bytes=1-500', 'bytes=7-', 'bytes=-7', 'bytes=2000-', undefined]) {
    const [one, other] = await ask({ url: '/1000.txt', headers: range === undefined ? {} : { range } })
    t.equal(one, other)
  }
  t.match(fileCountersOf(kept.server).snapshot(), { open: 1, hits: 3, misses: { new: 2, request: 1 } })
})
