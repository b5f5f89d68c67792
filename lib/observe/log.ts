import type { FastifyBaseLogger } from 'fastify'

/** pino has it, which Fastify's type of loggers leaves out; a logger of the application's may lack it. */
interface LevelAware {
  isLevelEnabled? (level: 'debug'): boolean
}

/** Whether lines of level debug are written; a logger that cannot tell decides for itself. */
export function debugs (log: Pick<FastifyBaseLogger, 'debug'>): boolean {
  return (log as LevelAware).isLevelEnabled?.('debug') ?? true
}

/** Warns of each kind of trouble once, however often it comes. */
export class Warnings {
  readonly #log: Pick<FastifyBaseLogger, 'warn'>
  readonly #said = new Set<string>()

  constructor (log: Pick<FastifyBaseLogger, 'warn'>) {
    this.#log = log
  }

  once (message: string): void {
    if (this.#said.has(message)) return
    this.#said.add(message)
    this.#log.warn(message)
  }
}
