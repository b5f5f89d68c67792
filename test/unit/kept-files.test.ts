import { mock } from 'node:test'
import t from 'tap'
import type { Binding } from '../../lib/binding'
import { FileCounters } from '../../lib/observe/file-counters'
import { KeptFiles } from '../../lib/static/kept-files'
import type { Answer } from '../../lib/static/kept-files'
import type { Proof } from '../../lib/static/proof'

const MINUTE = 60_000

function kept () {
  const closed: number[] = []
  const counters = new FileCounters()
  const files = new KeptFiles({ close: (fd: number) => { closed.push(fd) }, duplicate: () => -24 } as Partial<Binding> as Binding, counters)
  const answer = (holds: () => boolean = () => true): Answer => ({ path: '/a', headers: {}, proof: { size: 1, holds } as Partial<Proof> as Proof })
  return { answer, closed, counters, files }
}

/** Of the whole process. */
const LIMIT = 1000

t.test('of too many files the one that was asked for longest ago goes', async t => {
  const { answer, closed, counters, files } = kept()
  const other = kept()
  for (let fd = 1; fd <= LIMIT; fd++) files.keep(`${fd}`, fd, answer())
  t.ok(files.find('1'))
  t.strictSame(closed, [])
  files.keep('another', LIMIT + 1, answer())
  t.strictSame(closed, [2])
  t.ok(files.find('1'))
  t.notOk(files.find('2'))
  t.match(counters.snapshot(), { open: LIMIT, hits: 2, misses: { new: 1 } })
  other.files.keep('a', 1, answer())
  t.strictSame(other.closed, [1], 'there is no room for those of another registration')
  files.keep('1', LIMIT + 2, answer())
  t.strictSame(closed, [2, 1], 'one that is learnt anew takes the place of the former')
  files.close()
  other.files.keep('a', 2, answer())
  t.ok(other.files.find('a'))
  other.files.close()
})

t.test('what has changed goes', async t => {
  const { answer, closed, counters, files } = kept()
  let same = true
  files.keep('a', 1, answer(() => same))
  t.ok(files.find('a'))
  same = false
  t.notOk(files.find('a'))
  t.strictSame(closed, [1])
  t.match(counters.snapshot(), { open: 0, misses: { changed: 1 } })
  files.close()
})

t.test('without a descriptor there is no stream', async t => {
  const { answer, files } = kept()
  files.keep('a', 1, answer())
  t.equal(files.open(files.find('a')!), undefined)
})

t.test('what nobody asks for is closed after a minute, two at most', async t => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const { answer, closed, files } = kept()
  files.keep('a', 1, answer())
  files.keep('b', 2, answer())
  mock.timers.tick(MINUTE)
  t.strictSame(closed, [])
  files.find('b')
  mock.timers.tick(MINUTE)
  t.strictSame(closed, [1])
  mock.timers.tick(MINUTE)
  t.strictSame(closed, [1, 2])
  files.close()
})

t.test('at the end all are closed, and what comes late', async t => {
  const { answer, closed, files } = kept()
  files.keep('a', 1, answer())
  files.keep('b', 2, answer())
  files.close()
  files.keep('c', 3, answer())
  t.strictSame(closed, [1, 2, 3])
  t.notOk(files.find('c'))
})
