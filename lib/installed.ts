import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { FastifyKtls, ReplyDecision } from '../types/index'

/** What the decorators of a context tell of. */
export interface Installed {
  readonly ktls: FastifyKtls
  decisionOf (request: FastifyRequest): ReplyDecision
}

/** Has the preload's decorators tell of it, in this context and those within. */
export type Hand = (context: FastifyInstance, installed: Installed) => void

/**
 * By this name a registration finds the preload's decorators (preload.ts), in whose place it cannot put its own. The two
 * can be of different copies of the package, and of different versions: so this name, {@link Hand} and {@link Installed}
 * are to stay as they are.
 */
export const kHand = Symbol.for('fastify-ktls.hand')

/** Whether fastify-ktls is in this context or one around it, be it of another copy of the package. A decorator of the application's is not ours. */
export function isInstalled ({ ktls }: Partial<FastifyInstance>): boolean {
  return ktls?.support !== undefined
}

/** That of the preload, where it is in this context or one around it. */
export function handIn (context: FastifyInstance): Hand | undefined {
  return (context as { [kHand]?: Hand })[kHand]
}
