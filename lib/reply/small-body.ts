import type { Server } from 'node:net'
import type { FastifyRequest, onSendHookHandler } from 'fastify'
import { DEFAULTS } from '../options'

/** Bytes of a body that are read in one go, whatever the option minSize is: as many as a stream reads. */
export const MAX_AT_ONCE = 65_536

/** Files' bodies, whole or in part, that Fastify is given in place of a stream. */
const bodies = new WeakSet<Buffer>()
const minSizes = new WeakMap<Server, number>()

export function setMinSize (server: Server, minSize: number): void {
  minSizes.set(server, minSize)
}

/** Whether a file's body of so many bytes is written by Node, in one go with its head. */
export function isSmall (server: Server, length: number): boolean {
  return length <= MAX_AT_ONCE && length < (minSizes.get(server) ?? DEFAULTS.minSize)
}

/** For a reply whose onSend hooks do not see it (`isPayloadUnseen`). */
export function smallBody (bytes: Buffer): Buffer {
  bodies.add(bytes)
  return bytes
}

export function isSmallBody (payload: unknown): boolean {
  return Buffer.isBuffer(payload) && bodies.has(payload)
}

/** The name of our own onSend hooks, which Fastify binds. */
const OWN_HOOK = 'fastifyKtlsOnSend'

export function asOwnHook (hook: onSendHookHandler): onSendHookHandler {
  return Object.defineProperty(hook, 'name', { value: OWN_HOOK })
}

interface RouteContext {
  /** Null without any. */
  readonly onSend: ReadonlyArray<(...args: never[]) => unknown> | null
}

/** Fastify's own symbol for what it knows of a request's route; another one for each copy of Fastify (seen in 5.0 to 5.12). */
let contextSymbol: symbol | undefined

function contextOf (request: FastifyRequest): RouteContext | undefined {
  const contexts = request as unknown as Record<symbol, RouteContext | undefined>
  if (contextSymbol === undefined || contexts[contextSymbol] === undefined) {
    contextSymbol = Object.getOwnPropertySymbols(request).find(({ description }) => description === 'fastify.context')
  }
  return contextSymbol && contexts[contextSymbol]
}

/** Whether no onSend hook but ours sees what is sent: then a stream and its bytes in a Buffer are the same to the application. */
export function isPayloadUnseen (request: FastifyRequest): boolean {
  const context = contextOf(request)
  return context !== undefined && (context.onSend ?? []).every(({ name }) => name === `bound ${OWN_HOOK}`)
}
