import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { join } from 'node:path'

interface Sockets {
  /** A descriptor of the same connection that Node does not know of. */
  duplicate (fd: number): number
  /** Blocks until so many bytes have come, or the connection's end; returns how many. They are not copied. */
  discard (fd: number, count: number): number
  setOption (fd: number, level: number, name: number, value: number): boolean
}

const { duplicate, discard, setOption }: Sockets = require(join(__dirname, '../../../native/build/Release/sockets.node'))

export { duplicate, discard }

export function descriptorOf (socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd
}

/** Level and name by include/uapi/asm-generic/socket.h and include/uapi/linux/tcp.h. */
const OPTIONS = {
  SO_SNDBUF: [1, 7],
  SO_RCVBUF: [1, 8],
  TCP_NODELAY: [6, 1],
  TCP_CORK: [6, 3],
  TCP_NOTSENT_LOWAT: [6, 25]
} as const

export function setSocketOption (socket: Socket, name: keyof typeof OPTIONS, value: number): void {
  const [level, number] = OPTIONS[name]
  if (!setOption(descriptorOf(socket), level, number, value)) throw new Error(`${name}: ${value} was refused`)
}

/** Has the kernel's buffers of a connection, which by themselves grow to several MiB, stay small. */
export function keepBuffersSmall (socket: Socket): void {
  setSocketOption(socket, 'SO_SNDBUF', 64 << 10)
  setSocketOption(socket, 'SO_RCVBUF', 64 << 10)
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
