import type { FastifyReply, FastifyRequest, onSendHookHandler } from 'fastify'
import { endsAsNodeDoes, headsAsNodeDoes, writesAsNodeDoes } from './routing'

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

/** Whether nobody but us sees what is sent now, from the onSend hooks down to the socket: then a stream, its bytes, and what stands for them are the same to the application. Not of those who wait for their turn. */
export function isUnseen ({ request, raw }: FastifyReply): boolean {
  return raw.socket !== null && !raw.socket.destroyed && !raw.destroyed && !raw.headersSent && !raw.writableEnded &&
    headsAsNodeDoes(raw) && writesAsNodeDoes(raw) && endsAsNodeDoes(raw) && hasOwnHooksOnly(request)
}

/** Whether no onSend hook but ours sees it. */
export function hasOwnHooksOnly (request: FastifyRequest): boolean {
  const context = contextOf(request)
  return context !== undefined && (context.onSend ?? []).every(({ name }) => name === `bound ${OWN_HOOK}`)
}
