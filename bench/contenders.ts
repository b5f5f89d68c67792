import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { startNginx } from './nginx'
import type { Running } from './running'
import type { ServerOptions } from './server'

export interface Surroundings {
  /** Whose files are served. */
  readonly folder: string
  /** For what a server writes of its own; must be empty. */
  readonly temporary: string
  /** Where nginx was unpacked. */
  readonly nginx: string
  /** The plugin's option. */
  readonly minSize: number
}

export interface Contender {
  readonly name: string
  readonly secure: boolean
  /** Whether the kernel encrypts; this is checked by the kernel's counter. */
  readonly kernelTls: boolean
  start (surroundings: Surroundings): Promise<Running>
}

/** V8's, pinned: young objects have room for many requests, and none of the collector's work is left to other threads' timing. */
const NODE_FLAGS = ['--min-semi-space-size=16', '--max-semi-space-size=16', '--max-old-space-size=512', '--single-threaded-gc']

function fastify (kind: ServerOptions['kind']) {
  return async ({ folder, minSize }: Surroundings): Promise<Running> => {
    const child = fork(join(__dirname, 'server.js'), [JSON.stringify({ folder, kind, minSize } satisfies ServerOptions)], { execArgv: NODE_FLAGS })
    const exited = once(child, 'exit')
    const [port] = await Promise.race([
      once(child, 'message') as Promise<[number]>,
      exited.then(([code]) => { throw new Error(`the server ended with ${code}`) })
    ])
    return {
      port,
      pid: child.pid!,
      watch: async () => {
        child.send('watch')
        return async () => {
          child.send('end')
          return (await once(child, 'message') as [number])[0]
        }
      },
      stop: async () => {
        child.disconnect()
        await exited
      }
    }
  }
}

function nginx (kernelTls: boolean) {
  return ({ nginx, folder, temporary }: Surroundings) => startNginx(nginx, folder, temporary, kernelTls)
}

export const CONTENDERS = [
  { name: 'fastify-ktls', secure: true, kernelTls: true, start: fastify('plugin') },
  { name: 'Fastify', secure: true, kernelTls: false, start: fastify('https') },
  { name: 'Fastify, plain HTTP', secure: false, kernelTls: false, start: fastify('http') },
  { name: 'nginx, kernel TLS', secure: true, kernelTls: true, start: nginx(true) },
  { name: 'nginx', secure: true, kernelTls: false, start: nginx(false) }
] as const satisfies readonly Contender[]
