/*
 * A child process of support/discard.ts: a client that asks for a path when it is
 * told one, and when it is told a number has the kernel discard so many bytes of
 * what comes, unread.
 */
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { SECURE } from './backend'
import { requestOf } from './client'
import { descriptorOf, discard, duplicate, keepBuffersSmall } from './sockets'

export type DiscardMessage = string | number

/** Says 0 when the connection is there and when the request is sent, then how much was discarded. */
function tell (bytes: number): void {
  process.send!(bytes)
}

async function run (port: number): Promise<void> {
  const tcp = connectTcp(port, '127.0.0.1')
  await once(tcp, 'connect')
  keepBuffersSmall(tcp)
  const fd = descriptorOf(tcp)
  const tls = SECURE ? connectTls({ socket: tcp, rejectUnauthorized: false }) : tcp
  if (SECURE) await once(tls, 'secureConnect')
  let connection: number
  process.on('message', (message: DiscardMessage) => {
    if (typeof message === 'number') return tell(discard(connection, message))
    tls.write(requestOf(message, ['Connection: close']))
    // All in one tick, so that Node does not read anything of the reply.
    connection = duplicate(fd)
    tls.destroy()
    tell(0)
  })
  tell(0)
}

process.once('disconnect', () => process.exit())
run(Number(process.argv[2]))
