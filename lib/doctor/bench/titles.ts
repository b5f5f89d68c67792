import type { ContenderName } from './comparison'

/** Each contender in words, for people. */
export const TITLES: Readonly<Record<ContenderName, string>> = {
  default: 'Fastify\'s default',
  kernel: 'kernel TLS',
  threads: 'sender threads'
}
