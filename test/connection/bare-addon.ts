/*
 * The addon with the host double, without lib/: connections whose transmit side
 * is promoted by the addon's exports alone.
 */
import { deepStrictEqual } from 'node:assert'
import { randomBytes } from 'node:crypto'
import { subscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import type { ConnectionOptions, SecureVersion, TLSSocket } from 'node:tls'
import { MessageChannel } from 'node:worker_threads'
import type { Binding, Choice, Failure, FileRange, Promotion, Refusal, Session, TransmitListener, Transmitter } from '../../lib/binding'
import { certificate } from '../certificate'
import { BACKEND } from '../support/backend'

export const addon: Binding = require(join(__dirname, '../../../native/build/Release/fastify_ktls_double.node'))

/** Shared by all servers here, so that a session can be resumed with another one. */
const ticketKeys = randomBytes(48)

interface Waiter {
  resolve (): void
  reject (failure: Failure): void
}

/** Operations that wait for an event, oldest first, and who waits for the end. */
class Listener {
  readonly waiters: Waiter[] = []
  onClosed = () => {}

  readonly hear: TransmitListener = (event, error, call) => {
    if (event === 'closed') {
      this.onClosed()
    } else if (event !== 'settled') {
      throw new Error(`${event} is for the library's tests`)
    } else if (error === 0) {
      this.waiters.shift()?.resolve()
    } else {
      // A failure ends everything that was waiting.
      for (const waiter of this.waiters.splice(0)) waiter.reject({ error, call })
    }
    updateHold()
  }
}

const listeners = new Map<Transmitter, Listener>()
let unclaimed: Session[] = []

// The addon's events do not hold the event loop; waiting for one does.
const hold = new MessageChannel().port1
function updateHold (): void {
  const waiting = [...listeners.values()].some(({ waiters }) => waiters.length > 0)
  if (waiting) hold.ref()
  else hold.unref()
}
updateHold()

addon.startCapture()

subscribe('net.server.socket', () => { unclaimed.push(...addon.claim()) })

/** The socket's descriptor, which Node does not publish. */
export function descriptorOf (socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd
}

/** Resolves when the kernel has taken all; rejects with a {@link Failure}. */
export function settled (transmitter: Transmitter, result: boolean | Failure): Promise<void> {
  if (result === true) return Promise.resolve()
  if (result !== false) return Promise.reject(result)
  return new Promise((resolve, reject) => {
    listeners.get(transmitter)!.waiters.push({ resolve, reject })
    updateHold()
  })
}

/** Takes a duplicate of `fd`, as the transmitter closes what it gets. */
export function range (fd: number, offset: number, length: number): FileRange {
  return { fd: addon.duplicate(fd), offset, length }
}

/** Aborts, and resolves when the transmitter's descriptor is closed. */
export function closed (transmitter: Transmitter): Promise<void> {
  return new Promise(resolve => {
    const listener = listeners.get(transmitter)!
    listener.onClosed = resolve
    if (transmitter.abort()) resolve()
    listener.waiters.length = 0 // no event comes for what is dropped
    updateHold()
  })
}

export interface Connection {
  readonly client: TLSSocket
  readonly server: TLSSocket
  readonly session: Session
}

export interface Promoted extends Connection {
  readonly transmitter: Transmitter
}

export interface Negotiation {
  readonly version: SecureVersion
  readonly cipher: string
}

/** A server for one connection, which `accept` waits for. */
export async function listen ({ version, cipher }: Negotiation): Promise<{ port: number, accept: () => Promise<Omit<Connection, 'client'>> }> {
  const { key, cert } = await certificate()
  const server = tls.createServer({
    key,
    cert,
    minVersion: version,
    maxVersion: version,
    ciphers: cipher,
    ticketKeys,
    // Node must not end the connection by itself: that is lib's task.
    allowHalfOpen: true
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  async function accept (): Promise<Omit<Connection, 'client'>> {
    const [socket] = await once(server, 'secureConnection') as [TLSSocket]
    server.close()
    const finished = socket.getFinished()
    const session = unclaimed.find(candidate => finished !== undefined && candidate.matches(finished))
    unclaimed = unclaimed.filter(candidate => candidate !== session)
    if (session === undefined) throw new Error('no session matches the connection')
    return { server: socket, session }
  }
  return { port: (server.address() as AddressInfo).port, accept }
}

export async function connect (negotiation: Negotiation, options: ConnectionOptions = {}): Promise<Connection> {
  const { cert } = await certificate()
  const { port, accept } = await listen(negotiation)
  const clientOptions = {
    host: '127.0.0.1',
    port,
    servername: 'localhost',
    ca: cert,
    allowHalfOpen: true,
    ...options
  }
  const client = tls.connect(clientOptions)
  const [accepted] = await Promise.all([accept(), once(client, 'secureConnect')])
  return { client, ...accepted }
}

/** The backend under test and no other. */
export const CHOICE: Choice = { kernel: BACKEND === 'kernel', rekey: false, threads: BACKEND === 'threads' }

/** Promotes as soon as the session tickets are out. */
export async function promote (connection: Omit<Connection, 'client'>, choice: Partial<Choice> = {}): Promise<Promotion | Refusal> {
  for (;;) {
    await new Promise(setImmediate)
    const listener = new Listener()
    const result = connection.session.promote(descriptorOf(connection.server), { ...CHOICE, ...choice }, listener.hear)
    if ('transmitter' in result) listeners.set(result.transmitter, listener)
    if ('transmitter' in result || result.refusal !== 'not-ready') return result
  }
}

/** The transmitter, which is of the backend under test. */
export async function promoted (connection: Omit<Connection, 'client'>, choice: Partial<Choice> = {}): Promise<Transmitter> {
  const result = await promote(connection, choice)
  if (!('transmitter' in result)) throw new Error(`promotion refused: ${JSON.stringify(result)}`)
  deepStrictEqual([result.transmitter.backend, result.cause], [BACKEND, null])
  return result.transmitter
}

export async function connectPromoted (negotiation: Negotiation, options?: ConnectionOptions): Promise<Promoted> {
  const connection = await connect(negotiation, options)
  return { ...connection, transmitter: await promoted(connection) }
}
