import t from 'tap'
import { FST_KTLS_FILE_TRUNCATED } from '../../lib/errors'
import { isOwnError } from '../../lib/connection/transmit'

t.test('whose fault a failed write is', async t => {
  for (const [syscall, code, own] of [
    ['sendfile', 'EIO', true],
    ['sendfile', 'EPIPE', false],
    ['sendfile', 'ECONNRESET', false],
    ['read', 'EIO', true],
    // By these Node's own read of the socket fails.
    ['read', 'ECONNRESET', false],
    ['read', 'ETIMEDOUT', false],
    ['seal', 'EIO', true],
    ['write', 'EPIPE', false],
    [undefined, undefined, false]
  ] as const) t.equal(isOwnError(Object.assign(new Error(), { syscall, code })), own, `${syscall} ${code}`)
  t.ok(isOwnError(new FST_KTLS_FILE_TRUNCATED()))
})
