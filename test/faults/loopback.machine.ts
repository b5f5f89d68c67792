/* An application must start, and say why, where a firewall drops what the probe sends to itself. */
import { join } from 'node:path'
import t from 'tap'
import { spoilNetwork } from '../support/network'
import { nodeJson } from '../support/node'
import type { Probed } from '../support/probe-child'

const CHILD = join(__dirname, '../support/probe-child.js')

t.test('a loopback interface that answers nothing', async t => {
  await spoilNetwork(t, 'loss 100%')
  const { support, milliseconds } = await nodeJson<Probed>([CHILD])
  t.match(support, { available: false, reason: 'kernel-refused', detail: /^the probe's connect failed with ETIMEDOUT: .*firewall.*; / })
  // A second, and what an emulated processor takes for the rest.
  t.ok(milliseconds > 900 && milliseconds < 3000, `${Math.round(milliseconds)} ms`)
})

t.test('a loopback interface that does again', async t => {
  const { support } = await nodeJson<Probed>([CHILD])
  t.match(support, { available: true, reason: null })
})
