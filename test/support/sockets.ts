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
