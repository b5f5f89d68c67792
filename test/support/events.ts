import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ChannelMessages } from '../../types/index'

export const CHANNELS = [
  'fastify-ktls.connection.promoted',
  'fastify-ktls.connection.rekeyed',
  'fastify-ktls.reply.fallback',
  'fastify-ktls.transfer.started',
  'fastify-ktls.transfer.finished',
  'fastify-ktls.transfer.aborted'
] as const satisfies ReadonlyArray<keyof ChannelMessages>

export interface Heard {
  /** The channel's name without its beginning, which is the same for all. */
  readonly event: string
  readonly message: Partial<ChannelMessages['fastify-ktls.transfer.aborted'] & ChannelMessages['fastify-ktls.connection.promoted'] & ChannelMessages['fastify-ktls.reply.fallback']>
}

/** What is published from now on until the test's end, in order. */
export function listen (t: Tap.Test): Heard[] {
  const heard: Heard[] = []
  for (const name of CHANNELS) {
    const onMessage = (message: unknown) => {
      heard.push({ event: name.slice('fastify-ktls.'.length), message: message as Heard['message'] })
    }
    subscribe(name, onMessage)
    t.teardown(() => { unsubscribe(name, onMessage) })
  }
  return heard
}
