import type { Server } from 'node:net'
import { DEFAULTS } from '../options'

/** Bytes of a body that are read in one go, whatever the option minSize is: as many as a stream reads. */
export const MAX_AT_ONCE = 65_536

/** Files' bodies, whole or in part, that Fastify is given in place of a stream. */
const bodies = new WeakSet<Buffer>()
const minSizes = new WeakMap<Server, number>()

export function setMinSize (server: Server, minSize: number): void {
  minSizes.set(server, minSize)
}

/** Whether a backend may have what the server's replies hold. */
export function offloads (server: Server): boolean {
  return minSizes.has(server)
}

/** Whether a file's body of so many bytes is written by Node, in one go with its head. */
export function isSmall (server: Server, length: number): boolean {
  return length <= MAX_AT_ONCE && length < (minSizes.get(server) ?? DEFAULTS.minSize)
}

/** For a reply whose onSend hooks do not see it (`isUnseen`). */
export function smallBody (bytes: Buffer): Buffer {
  bodies.add(bytes)
  return bytes
}

export function isSmallBody (payload: unknown): boolean {
  return Buffer.isBuffer(payload) && bodies.has(payload)
}
