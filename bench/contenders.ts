import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Backend } from '../types/index'
import { startNginx } from './nginx'
import type { NginxTls } from './nginx'
import type { Running } from './running'
import type { Question, ServerOptions } from './server'

export interface Surroundings {
  /** Whose files are served. */
  readonly folder: string
  /** For what a server writes of its own; must be empty. */
  readonly temporary: string
  /** Where nginx was unpacked. */
  readonly nginx: string
  /** The plugin's option. */
  readonly minSize: number
  /** The only one that the plugin may use. */
  readonly backend: Backend
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
  return async ({ folder, minSize, backend }: Surroundings): Promise<Running> => {
    const child = fork(join(__dirname, 'server.js'), [JSON.stringify({ folder, kind, minSize, backend } satisfies ServerOptions)], { execArgv: NODE_FLAGS })
    const exited = once(child, 'exit')
    const answer = async () => {
      const [value] = await Promise.race([
        once(child, 'message') as Promise<[number]>,
        exited.then(([code]) => { throw new Error(`the server ended with ${code}`) })
      ])
      return value
    }
    const ask = (question: Question) => {
      child.send(question)
      return answer()
    }
    return {
      port: await answer(),
      pid: child.pid!,
      watch: async () => {
        await ask('watch')
        return () => ask('watched')
      },
      ...(kind === 'plugin' || kind === 'kept') && { offloaded: () => ask('offloaded') },
      stop: async () => {
        child.disconnect()
        await exited
      }
    }
  }
}

function nginx (encrypts: NginxTls) {
  return ({ nginx, folder, temporary }: Surroundings) => startNginx(nginx, folder, temporary, encrypts)
}

/** By the plugin's only backend: without the kernel's there is no nginx with it either. */
export function contendersOf (backend: Backend): readonly Contender[] {
  const kernelTls = backend === 'kernel'
  if (backend === 'plain') {
    return [
      { name: 'fastify-ktls', secure: false, kernelTls, start: fastify('plugin') },
      { name: 'fastify-ktls/static', secure: false, kernelTls, start: fastify('kept') },
      { name: 'Fastify', secure: false, kernelTls, start: fastify('http') },
      { name: 'a handler with stat', secure: false, kernelTls, start: fastify('memory') },
      { name: 'nginx', secure: false, kernelTls, start: nginx('nobody') }
    ]
  }
  return [
    { name: 'fastify-ktls', secure: true, kernelTls, start: fastify('plugin') },
    { name: 'fastify-ktls/static', secure: true, kernelTls, start: fastify('kept') },
    { name: 'Fastify', secure: true, kernelTls: false, start: fastify('https') },
    { name: 'a handler with stat', secure: true, kernelTls: false, start: fastify('memory') },
    { name: 'Fastify, plain HTTP', secure: false, kernelTls: false, start: fastify('http') },
    ...kernelTls ? [{ name: 'nginx, kernel TLS', secure: true, kernelTls, start: nginx('kernel') }] : [],
    { name: 'nginx', secure: true, kernelTls: false, start: nginx('OpenSSL') }
  ]
}
