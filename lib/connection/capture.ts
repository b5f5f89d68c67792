import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Server, Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import type { Binding, Session } from '../binding'
import { serverOf, tracesConnections } from './internals'

/** Fires for each connection that a server of this process accepts, after its 'connection' event. */
const CHANNEL = 'net.server.socket'

/** Takes the connections of its own servers. */
export interface Claimant {
  owns (server: Server): boolean
  /** One with TLS. `undefined`: OpenSSL traces it, so that nobody else can follow it. */
  adopt (socket: Socket, sessions: Session[] | undefined): void
  adoptPlain (socket: Socket): void
}

const claimants = new Set<Claimant>()
let binding: Binding

/** From now until the returned function is called, `claimant` is asked about each new connection, with TLS only where its servers have it. */
export function capture (from: Binding, claimant: Claimant, tls: boolean): () => void {
  binding = from
  if (tls) binding.startCapture()
  if (claimants.size === 0) subscribe(CHANNEL, onServerSocket)
  claimants.add(claimant)
  return () => {
    if (claimants.delete(claimant) && claimants.size === 0) unsubscribe(CHANNEL, onServerSocket)
  }
}

function onServerSocket (message: unknown): void {
  const { socket } = message as { socket: Socket }
  const server = serverOf(socket)
  for (const claimant of claimants) {
    if (server !== undefined && claimant.owns(server)) {
      if (!(server instanceof TlsServer)) return claimant.adoptPlain(socket)
      if (!tracesConnections(server)) return claimant.adopt(socket, binding.claim())
      claimant.adopt(socket, undefined)
    }
  }
  // Not now: this library may be there twice, with one addon, and the other one's turn is to come.
  process.nextTick(() => binding.discard())
}
