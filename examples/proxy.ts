import { connect, createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import fastifyStatic from '@fastify/static'
import fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'
import { serve } from './serve'
import type { ExampleOptions } from './serve'

export interface ProxyOptions extends ExampleOptions {
  /**
   * Which proxies may say by X-Forwarded-For who the client is, for one that
   * terminates TLS and connects over TLS again. Behind a pass-through it must
   * stay off: there the header is the client's own.
   */
  readonly trustProxy?: string
}

/**
 * An app behind a proxy. What is offloaded is the connection that reaches
 * this process: all of it behind a proxy that passes TCP on, and else the way
 * from the proxy, over TLS or without (nginx/app.ts).
 */
export async function createApp ({ https, root, trustProxy }: ProxyOptions) {
  const app = fastify({ https, ...(trustProxy !== undefined && { trustProxy }) })
  await app.register(fastifyKtls)
  await app.register(fastifyStatic, { root })
  // Behind a pass-through, without the PROXY protocol, that is the proxy's.
  app.get('/address', async request => ({ address: request.ip }))
  return app
}

/** Passes TCP on to a port of this machine, as `stream` of nginx and `mode tcp` of HAProxy do. */
export function passThrough (port: number): Server {
  return createServer({ allowHalfOpen: true }, client => {
    const server = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    client.pipe(server).pipe(client)
    client.on('error', () => server.destroy()).on('close', () => server.destroy())
    server.on('error', () => client.destroy()).on('close', () => client.destroy())
  })
}

const SHOWS = `A folder of files behind a proxy that passes TCP on, on a port of its own: what is offloaded
is the connection that reaches the app. Its address is in the last line that it prints.`

async function main (): Promise<void> {
  const { port } = new URL(await serve(createApp, SHOWS))
  const proxy = passThrough(Number(port))
  proxy.listen(0, '127.0.0.1', () => {
    const { port } = proxy.address() as AddressInfo
    console.log(`through a proxy: https://127.0.0.1:${port}`)
  })
}

if (require.main === module) main()
