import fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'
import type { Support, SupportReason } from 'fastify-ktls'
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
  /** What the kernel that serves can do. */
  readonly support: Support
  /** Why it is served from there. */
  readonly why: string
  /** Rejects when serving ends by itself. */
  readonly failed: Promise<never>
  readonly stop: () => Promise<void>
}

/** Another kernel helps against these only: the guest has the same Node and the same addon. */
const KERNEL_REASONS: ReadonlyArray<SupportReason | null> = ['kernel-module-missing', 'kernel-refused']

/** Serves by this machine's kernel if it can, else by a guest's (unless `here`), else without kernel TLS. */
export async function serve (options: ServeOptions, here: boolean): Promise<Serving> {
  const own = await ownSupport()
  if (own.available) return serveHere(options, 'own-kernel', `Linux ${own.kernel} on this machine has kernel TLS`)
  const cannot = `kernel TLS is not available on this machine (Linux ${own.kernel}): ${own.detail ?? 'reason unknown'} (npx fastify-ktls says more)`
  if (here) return serveHere(options, 'fallback', `${cannot}. A guest was not wanted (--here)`)
  if (!KERNEL_REASONS.includes(own.reason)) return serveHere(options, 'fallback', `${cannot}. A guest would not help against that`)

  try {
    return await serveInGuest(options, cannot)
  } catch (error) {
    options.signal.throwIfAborted()
    const message = error instanceof Error ? error.message : String(error)
    return serveHere(options, 'fallback', `${cannot}. A guest cannot be had either: ${message.replace(/\.$/, '')}`)
  }
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
