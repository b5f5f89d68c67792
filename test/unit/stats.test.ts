import t from 'tap'
import { Counters } from '../../lib/observe/stats'
import type { ByteSource } from '../../lib/observe/stats'

const source = (sendfile: number, write: number, node: number): ByteSource => ({ bytes: () => ({ sendfile, write, node }) })

t.test('all counters start at 0', async t => {
  t.strictSame(new Counters().snapshot(), {
    connections: { seen: 0, promoted: 0, open: 0 },
    keys: { updated: 0, usedUp: 0 },
    replies: { sendfile: 0, write: 0, node: 0 },
    bytes: { sendfile: 0, write: 0, node: 0 },
    fallbacks: {}
  })
})

t.test('replies by path and fallbacks by reason', async t => {
  const counters = new Counters()
  counters.replied('sendfile', null)
  counters.replied('sendfile', null)
  counters.replied('write', 'too-small')
  counters.replied('node', 'too-small')
  counters.replied('node', 'http2')
  const { replies, fallbacks } = counters.snapshot()
  t.strictSame(replies, { sendfile: 2, write: 1, node: 2 })
  t.strictSame(fallbacks, { 'too-small': 2, http2: 1 })
})

t.test('connections, and the bytes of open and closed ones', async t => {
  const counters = new Counters()
  const [one, other] = [source(1, 20, 300), source(4000, 50000, 600000)]
  counters.opened(one)
  counters.opened(other)
  counters.promoted()
  t.strictSame(counters.snapshot().connections, { seen: 2, promoted: 1, open: 2 })
  t.strictSame(counters.snapshot().bytes, { sendfile: 4001, write: 50020, node: 600300 })
  counters.closed(one)
  t.strictSame(counters.snapshot().connections, { seen: 2, promoted: 1, open: 1 })
  t.strictSame(counters.snapshot().bytes, { sendfile: 4001, write: 50020, node: 600300 })
  counters.closed(one)
  t.strictSame(counters.snapshot().bytes, { sendfile: 4001, write: 50020, node: 600300 }, 'a connection closes once')
})

t.test('what an open connection sends shows at once', async t => {
  const counters = new Counters()
  let sent = 0
  counters.opened({ bytes: () => ({ sendfile: sent, write: 0, node: 0 }) })
  sent = 7
  t.equal(counters.snapshot().bytes.sendfile, 7)
})

t.test('a snapshot is a copy', async t => {
  const counters = new Counters()
  const before = counters.snapshot()
  counters.opened(source(1, 1, 1))
  counters.replied('node', 'inject')
  t.strictSame(before, new Counters().snapshot())
  Object.assign(counters.snapshot().replies, { node: 100 })
  t.equal(counters.snapshot().replies.node, 1)
})
