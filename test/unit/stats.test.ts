import t from 'tap'
import { Counters } from '../../lib/observe/stats'
import type { ByteSource } from '../../lib/observe/stats'
import { BY_NODE } from '../../lib/way'
import type { Backend } from '../../types/index'

const source = (backend: Backend, file: number, write: number, node: number): ByteSource => ({ sent: () => ({ backend, file, write, node }) })
const NONE = { kernel: 0, threads: 0, plain: 0 }

t.test('all counters start at 0', async t => {
  t.strictSame(new Counters().snapshot(), {
    connections: { seen: 0, promoted: NONE, open: 0 },
    keys: { updated: 0, usedUp: 0 },
    replies: { file: NONE, write: NONE, node: 0 },
    bytes: { file: NONE, write: NONE, node: 0 },
    fallbacks: {}
  })
})

t.test('replies by path and backend, and fallbacks by reason', async t => {
  const counters = new Counters()
  counters.replied({ path: 'file', backend: 'kernel' }, null)
  counters.replied({ path: 'file', backend: 'kernel' }, null)
  counters.replied({ path: 'file', backend: 'threads' }, null)
  counters.replied({ path: 'write', backend: 'threads' }, 'too-small')
  counters.replied(BY_NODE, 'too-small')
  counters.replied(BY_NODE, 'http2')
  const { replies, fallbacks } = counters.snapshot()
  t.strictSame(replies, { file: { ...NONE, kernel: 2, threads: 1 }, write: { ...NONE, threads: 1 }, node: 2 })
  t.strictSame(fallbacks, { 'too-small': 2, http2: 1 })
})

t.test('connections, and the bytes of open and closed ones', async t => {
  const counters = new Counters()
  const [one, other] = [source('kernel', 1, 20, 300), source('threads', 4000, 50000, 600000)]
  const all = { file: { ...NONE, kernel: 1, threads: 4000 }, write: { ...NONE, kernel: 20, threads: 50000 }, node: 600300 }
  counters.opened(one)
  counters.opened(other)
  counters.promoted('kernel')
  t.strictSame(counters.snapshot().connections, { seen: 2, promoted: { kernel: 1, threads: 0, plain: 0 }, open: 2 })
  t.strictSame(counters.snapshot().bytes, all)
  counters.closed(one)
  t.strictSame(counters.snapshot().connections, { seen: 2, promoted: { kernel: 1, threads: 0, plain: 0 }, open: 1 })
  t.strictSame(counters.snapshot().bytes, all)
  counters.closed(one)
  t.strictSame(counters.snapshot().bytes, all, 'a connection closes once')
})

t.test('what an open connection sends shows at once', async t => {
  const counters = new Counters()
  let node = 0
  counters.opened({ sent: () => ({ backend: null, node }) })
  node = 7
  t.equal(counters.snapshot().bytes.node, 7)
})

t.test('a snapshot is a copy', async t => {
  const counters = new Counters()
  const before = counters.snapshot()
  counters.opened(source('threads', 1, 1, 1))
  counters.promoted('threads')
  counters.replied({ path: 'file', backend: 'threads' }, null)
  counters.replied(BY_NODE, 'inject')
  t.strictSame(before, new Counters().snapshot())
  const { connections, replies, bytes } = counters.snapshot()
  for (const counts of [connections.promoted, replies.file, bytes.file]) Object.assign(counts, { threads: 100 })
  t.equal(counters.snapshot().connections.promoted.threads, 1)
  t.equal(counters.snapshot().replies.file.threads, 1)
  t.equal(counters.snapshot().bytes.file.threads, 1)
})
