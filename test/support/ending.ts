import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import root from 'tap'
import { SECURE, statsOf } from './backend'
import { get, receive } from './client'
import type { RawClient, Received } from './client'
import { makeFile, makeFolder } from './files'
import type { TestFile } from './files'
import { countPromotions, openDescriptors } from './kernel'
import type { ServerOptions, TestServer } from './server'
import { keepAllBuffersSmall } from './sockets'
import { serveFolder } from './static'
import { until } from './wait'

/** More than the buffers of a connection hold where they are kept small. */
const BIG = 4 << 20

const folder = makeFolder(root)
/** What is served in each phase. */
export const files: Record<Phase, TestFile> = { idle: makeFile(folder, 100_000), 'in mid-transfer': makeFile(folder, BIG) }

// The sender thread's own descriptors come with the first promotion.
root.before(async () => {
  const { app, port } = await serveFolder(root, folder, { ktls: {} })
  await receive(await get(port, `/${files.idle.name}`, ['Connection: close']))
  await until(() => statsOf(app).connections.open === 0)
})

/** Whether the connection has answered its only request, or answers it to a client that reads nothing. */
export type Phase = 'idle' | 'in mid-transfer'

/** What a client sees of the end of its connection. */
export interface Ending {
  /** How much came of the file that it had asked for. */
  readonly body: 'all' | 'part'
  /** Never without TLS. */
  readonly closeNotify: boolean
  /** A FIN came before the client closed by itself, and no reset. */
  readonly fin: boolean
}

/** One connection that serves a file, seen from both sides. */
export interface Held {
  readonly file: TestFile
  readonly client: RawClient
  readonly socket: TLSSocket
  /** Reads to the end of the connection; the same at each call. */
  readonly receive: () => Promise<Received>
}

export interface Holder {
  readonly server: TestServer
  /** Opens a connection and brings it into the phase. */
  readonly hold: (phase: Phase, headers?: readonly string[]) => Promise<Held>
}

/**
 * Runs `body` with a server without the plugin and with one that has it, and
 * returns its results in this order. With the plugin each connection was
 * promoted, and nothing of them is left. Buffers are small, unless the test is
 * about those that the kernel gives.
 */
export async function withAndWithout<T> (t: Tap.Test, { largeBuffers = false, ...options }: Omit<ServerOptions, 'ktls'> & { readonly largeBuffers?: boolean }, body: (holder: Holder) => Promise<T>): Promise<[plain: T, tested: T]> {
  if (!largeBuffers) keepAllBuffersSmall(t)
  const run = async (plugin: boolean): Promise<T> => {
    const descriptors = openDescriptors().length
    const promotions = countPromotions()
    let replies = 0
    let held = 0
    let socket: TLSSocket
    const server = await serveFolder(t, folder, {
      ...options,
      ...(plugin && { ktls: {} }),
      setup: async app => {
        app.addHook('onRequest', async request => { socket = request.raw.socket as TLSSocket })
        app.addHook('onResponse', async () => { replies++ })
        await options.setup?.(app)
      }
    })
    const hold = async (phase: Phase, headers: readonly string[] = []): Promise<Held> => {
      held++
      const file = files[phase]
      const [before, client] = [replies, await get(server.port, `/${file.name}`, headers)]
      let received: Promise<Received> | undefined
      const receiveOnce = () => (received ??= receive(client))
      if (phase === 'idle') {
        // Who does not ask for it has the connection fail on purpose.
        receiveOnce().catch(() => {})
        await until(() => replies > before)
      } else {
        await once(client.tls, 'readable')
      }
      return { file, client, socket, receive: receiveOnce }
    }
    const result = await body({ server, hold })
    t.equal(countPromotions() - promotions, plugin ? held : 0, plugin ? 'promoted' : 'not promoted')
    await until(() => !plugin || statsOf(server.app).connections.open === 0)
    await server.app.close()
    await until(() => openDescriptors().length <= descriptors)
    return result
  }
  return [await run(false), await run(true)]
}

export async function endingOf ({ file, client, receive }: Held): Promise<Ending> {
  const { sha256, clean } = await receive()
  return { body: sha256 === file.sha256 ? 'all' : 'part', closeNotify: SECURE && clean, fin: client.tcp.readableEnded }
}
