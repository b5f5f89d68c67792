import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { ask, get, receive } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { messageOf } from '../support/message'
import { keepAllBuffersSmall } from '../support/sockets'
import { until } from '../support/wait'
import { startChild } from '../support/child'
import type { Leave } from '../support/child-server'

const file = makeFile(makeFolder(t), 300_000)

const DESCRIPTORS = 100

// Half a minute, in which both processes sleep.
t.test('a destroyed connection whose client never reads again is given up in the end', async t => {
  // The client's is full of the file: what it acknowledged later would make room for what shall stay.
  keepAllBuffersSmall(t)
  const { child, port } = await startChild(t, { path: file.path }, { KTLS_DOUBLE_SEND_LIMIT: '1000000' }, {
    silent: true,
    execPath: 'prlimit',
    execArgv: [`--nofile=${DESCRIPTORS}`, process.execPath]
  })
  const exited = once(child, 'exit')
  const output = text(child.stdout!)
  const client = await get(port, '/file')
  // Later its own process would still take from TCP what nobody reads.
  client.tls.once('readable', () => {})
  await until(() => client.tls.readableLength >= client.tls.readableHighWaterMark && client.tcp.isPaused())
  // It answers once it has sent the file: behind one that is under way nothing would be taken by TCP.
  child.send({ left: DESCRIPTORS, open: 1 } satisfies Leave)
  await messageOf(child)
  ask(client, '/linger')
  t.strictSame(await exited, [0, null], 'the process ends by itself')
  t.match(JSON.parse(await output), { exact: 0, less: 1 }, 'TCP had not got all that was reported as written')
  const { clean } = await receive(client)
  t.notOk(clean, 'and nothing pretends that it had')
})
