import { once } from 'node:events'
import { mock } from 'node:test'
import t from 'tap'
import type { Binding } from '../../lib/binding'
import { FileCounters } from '../../lib/observe/file-counters'
import { KeptFiles } from '../../lib/static/kept-files'
import type { Head } from '../../lib/static/head'
import type { Answer } from '../../lib/static/kept-files'
import type { Proof } from '../../lib/static/proof'

const MINUTE = 60_000

function kept () {
  const closed: number[] = []
  const counters = new FileCounters()
  const files = new KeptFiles({ close: (fd: number) => { closed.push(fd) }, duplicate: () => -24 } as Partial<Binding> as Binding, counters)
  const answer = (holds: () => boolean = () => true): Answer => ({ early: {}, head: { path: '/a' } as Partial<Head> as Head, body: { start: 0, end: 0, highWaterMark: 5 }, proof: { holds } as Partial<Proof> as Proof })
  return { answer, closed, counters, files }
}

/** Whether it is answered from what is kept. */
function hits (files: KeptFiles, key: string): boolean {
  const found = files.find(key)
  return found !== undefined && files.holds(found)
}

/** Of the whole process. */
const LIMIT = 1000

t.test('of too many files the one that was asked for longest ago goes', async t => {
  const { answer, closed, counters, files } = kept()
  const other = kept()
  for (let fd = 1; fd <= LIMIT; fd++) files.keep(`${fd}`, answer(), fd)
  t.ok(hits(files, '1'))
  t.strictSame(closed, [])
  files.keep('another', answer(), LIMIT + 1)
  t.strictSame(closed, [2])
  t.ok(hits(files, '1'))
  t.notOk(hits(files, '2'))
  t.match(counters.snapshot(), { open: LIMIT, misses: { new: 1 } })
  other.files.keep('a', answer(), 1)
  t.ok(hits(other.files, 'a'))
  t.strictSame([closed, other.closed], [[2, 3], []], 'that of another registration')
  files.keep('1', answer(), LIMIT + 2)
  t.strictSame(closed, [2, 3, 1], 'one that is learnt anew takes the place of the former')
  files.close()
  other.files.close()
})

t.test('what is not there drives out nothing that is', async t => {
  const { answer, closed, files } = kept()
  const none = (): Answer => ({ ...answer(), head: undefined, body: undefined })
  files.keep('file', answer(), 1)
  for (let name = 0; name <= LIMIT; name++) files.keep(`none ${name}`, none())
  t.strictSame(closed, [])
  t.ok(hits(files, 'file'))
  t.notOk(hits(files, 'none 0'), 'of too many the first goes')
  t.ok(hits(files, 'none 1'))
  files.close()
  t.notOk(hits(files, 'none 1'))
})

t.test('what has changed goes', async t => {
  const { answer, closed, counters, files } = kept()
  let same = true
  files.keep('a', answer(() => same), 1)
  t.ok(hits(files, 'a'))
  same = false
  t.notOk(hits(files, 'a'))
  t.strictSame(closed, [1])
  t.match(counters.snapshot(), { open: 0, misses: { changed: 1 } })
  files.close()
})

t.test('without a descriptor the stream opens its file itself', async t => {
  const { answer, files } = kept()
  files.keep('a', answer(), 1)
  const stream = files.open(files.find('a')!, { start: 0, end: 0 })
  t.equal(stream.readableHighWaterMark, 5)
  await t.rejects(once(stream, 'open'), { code: 'ENOENT' })
  files.close()
})

t.test('what was found may be closed before it is sent', async t => {
  const { answer, files } = kept()
  files.keep('a', answer(), 1)
  const found = files.find('a')!
  t.ok(files.holds(found))
  files.keep('a', answer(), 2)
  t.notOk(files.holds(found))
  files.close()
})

t.test('another user of the system may not read what the former one has opened', async t => {
  const { answer, closed, files } = kept()
  files.keep('a', answer(), 1)
  t.ok(hits(files, 'a'))
  const { geteuid } = process
  process.geteuid = () => 65534
  t.notOk(hits(files, 'a'))
  t.strictSame(closed, [1])
  files.keep('b', answer(), 2)
  process.geteuid = geteuid!
  files.keep('c', answer(), 3)
  t.strictSame(closed, [1, 2], 'nor what has been opened meanwhile')
  files.close()
})

t.test('what nobody asks for is closed after a minute, two at most', async t => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const { answer, closed, files } = kept()
  files.keep('a', answer(), 1)
  files.keep('b', answer(), 2)
  mock.timers.tick(MINUTE)
  t.strictSame(closed, [])
  hits(files, 'b')
  mock.timers.tick(MINUTE)
  t.strictSame(closed, [1])
  mock.timers.tick(MINUTE)
  t.strictSame(closed, [1, 2])
  files.close()
})

t.test('at the end all are closed, and what comes late', async t => {
  const { answer, closed, files } = kept()
  files.keep('a', answer(), 1)
  files.keep('b', answer(), 2)
  files.close()
  files.keep('c', answer(), 3)
  t.strictSame(closed, [1, 2, 3])
  t.notOk(hits(files, 'c'))
})
