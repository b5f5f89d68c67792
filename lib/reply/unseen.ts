import type { FastifyReply, onSendHookHandler } from 'fastify'

/** The name of our own onSend hooks, which Fastify binds. */
const OWN_HOOK = 'fastifyKtlsOnSend'

export function asOwnHook (hook: onSendHookHandler): onSendHookHandler {
  return Object.defineProperty(hook, 'name', { value: OWN_HOOK })
}

interface RouteContext {
  /** Null without any. */
  readonly onSend: ReadonlyArray<(...args: never[]) => unknown> | null
}

/** Something that Fastify keeps under a symbol of its own, another one for each copy of Fastify (seen in 5.0 to 5.12). */
function internal<T> (description: string): (object: object) => T | undefined {
  let known: symbol | undefined
  return object => {
    const values = object as Record<symbol, T | undefined>
    if (known === undefined || values[known] === undefined) known = Object.getOwnPropertySymbols(object).find(symbol => symbol.description === description)
    return known && values[known]
  }
}

/** What is known of a request's route. */
const contextOf = internal<RouteContext>('fastify.context')
/** Null without any. */
const trailersOf = internal<object | null>('fastify.reply.trailers')

/** Whether no function of the application's but ours sees what is sent: then a stream and its bytes in a Buffer are the same to it. */
export function isPayloadUnseen (reply: FastifyReply): boolean {
  const context = contextOf(reply.request)
  return context !== undefined && (context.onSend ?? []).every(({ name }) => name === `bound ${OWN_HOOK}`) && trailersOf(reply) === null
}
