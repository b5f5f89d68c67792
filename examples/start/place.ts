import fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'
import type { Support } from 'fastify-ktls'
import { createApp } from './app'
import { serveInGuest } from './guest'
import type { Place, ReplyReport } from './reports'

export interface ServeOptions {
  /** Folders, see materials.ts. */
  readonly certificate: string
  readonly files: string
  /** Of 127.0.0.1. */
  readonly port: number
  readonly onReply: (report: ReplyReport) => void
  readonly onProgress: (message: string) => void
  /** Ends all, during the start too. */
  readonly signal: AbortSignal
}

export interface Serving {
  readonly place: Place
  /** What the machine that serves can do. */
  readonly support: Support
  /** Why it is served from there. */
  readonly why: string
  /** Rejects when serving ends by itself. */
  readonly failed: Promise<never>
  readonly stop: () => Promise<void>
}

/** Serves from a guest where one is wanted, else from this machine: by its kernel, by sender threads, or by Node alone. */
export async function serve (options: ServeOptions, guest: boolean): Promise<Serving> {
  if (guest) {
    return serveInGuest(options).catch((error: unknown) => {
      options.signal.throwIfAborted()
      throw new Error(`a guest cannot be had: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    })
  }
  const { available, backends, kernel, detail } = await ownSupport()
  if (available) return serveHere(options, 'own-kernel', `Linux ${kernel} on this machine has kernel TLS`)
  const why = `kernel TLS is not available on this machine (Linux ${kernel}): ${detail ?? 'reason unknown'} (npx fastify-ktls says more)`
  return serveHere(options, backends.includes('threads') ? 'threads' : 'fallback', why)
}

/** What the plugin says of this machine. */
async function ownSupport (): Promise<Support> {
  const app = fastify()
  await app.register(fastifyKtls)
  await app.ready()
  await app.close()
  return app.ktls.support
}

async function serveHere (options: ServeOptions, place: Place, why: string): Promise<Serving> {
  const app = await createApp({ ...options, place })
  await app.listen({ host: '127.0.0.1', port: options.port })
  return { place, why, support: app.ktls.support, failed: new Promise(() => {}), stop: async () => { await app.close() } }
}
