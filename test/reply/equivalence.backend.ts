import t from 'tap'
import { compareReplies, visible } from '../support/replies'

t.test('replies are byte for byte and header for header as without the plugin', async t => {
  await compareReplies(t, { minSize: 1 }, async (t, { replyCase: { path }, expected, got, tested }) => {
    t.strictSame(visible(got), visible(expected))
    const [decision] = await tested.decisions(1)
    t.equal(decision!.path, path, `${decision!.path} ${decision!.reason}`)
  })
})
