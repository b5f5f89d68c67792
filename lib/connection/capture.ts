import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Server, Socket } from 'node:net'
import type { Binding, Session } from '../binding'
import { serverOf, tracesConnections } from './internals'

/** Fires for each connection that a server of this process accepts, after its 'connection' event. */
const CHANNEL = 'net.server.socket'

/** Takes the sessions of its own servers' connections. */
export interface Claimant {
  owns (server: Server): boolean
  /** `undefined`: OpenSSL traces the connection, so that nobody else can follow it. */
  adopt (socket: Socket, sessions: Session[] | undefined): void
}

const claimants = new Set<Claimant>()
let binding: Binding

/** From now until the returned function is called, `claimant` is asked about each new connection. */
export function capture (from: Binding, claimant: Claimant): () => void {
  binding = from
  binding.startCapture()
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
      if (!tracesConnections(server)) return claimant.adopt(socket, binding.claim())
      claimant.adopt(socket, undefined)
    }
  }
  // Not now: this library may be there twice, with one addon, and the other one's turn is to come.
  process.nextTick(() => binding.discard())
}
