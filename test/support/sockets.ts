import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { join } from 'node:path'

interface Sockets {
  /** A descriptor of the same connection that Node does not know of. */
  duplicate (fd: number): number
  /** Blocks until so many bytes have come, or the connection's end; returns how many. They are not copied. */
  discard (fd: number, count: number): number
  /** Of the kernel's, each way. */
  limitBuffers (fd: number, bytes: number): boolean
}

const { duplicate, discard, limitBuffers }: Sockets = require(join(__dirname, '../../../native/build/Release/sockets.node'))

export { duplicate, discard }

export function descriptorOf (socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd
}

/** Has the kernel's buffers of a connection, which by themselves grow to several MiB, stay small. */
export function keepBuffersSmall (socket: Socket): void {
  if (!limitBuffers(descriptorOf(socket), 64 << 10)) throw new Error('SO_SNDBUF, SO_RCVBUF')
}

/**
 * The same for each connection that this process makes or accepts until the test
 * ends: a transfer to a client that does not read is then in its middle with far
 * fewer bytes, which an emulated processor would take seconds to encrypt.
 */
export function keepAllBuffersSmall (t: Tap.Test): void {
  const onAccept = (message: unknown) => keepBuffersSmall((message as { socket: Socket }).socket)
  // It has no descriptor before it is connected.
  const onConnect = (message: unknown) => {
    const { socket } = message as { socket: Socket }
    socket.once('connect', () => keepBuffersSmall(socket))
  }
  subscribe('net.server.socket', onAccept)
  subscribe('net.client.socket', onConnect)
  t.teardown(() => {
    unsubscribe('net.server.socket', onAccept)
    unsubscribe('net.client.socket', onConnect)
  })
}
