import t from 'tap'
import { compareReplies } from '../support/replies'
import type { Response } from '../support/request'

/** What a client can tell apart; the plugin may replace chunks by a Content-Length. */
function visible ({ status, headers, sha256, body }: Response): object {
  const { date, 'transfer-encoding': _chunked, ...rest } = headers
  return { status, sha256, headers: { 'content-length': String(body.length), ...rest } }
}

t.test('replies are byte for byte and header for header as without the plugin', async t => {
  await compareReplies(t, { minSize: 1 }, async (t, { replyCase: { path }, expected, got, tested }) => {
    t.strictSame(visible(got), visible(expected))
    const [decision] = await tested.decisions(1)
    t.equal(decision!.path, path, `${decision!.path} ${decision!.reason}`)
  })
})
