import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Server } from 'node:https'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import type { Backend, ChannelMessages, FallbackReason, Path, PathCounts, TransferMessage } from 'fastify-ktls'

/** By which way files go: the plugin's, or Node's as without it. */
export type Mode = 'offload' | 'default'

/** What happened in one period of the event loop. */
export interface Sample {
  /** Counts up from 0. */
  readonly number: number
  /** The way that files went under load. */
  readonly mode: Mode | 'idle'
  /** Whether it was taken under load, and not in the first second after the handshakes of all clients. */
  readonly steady: boolean
  /** Milliseconds by which a timer was late, on average. */
  readonly delay: number
  /** The share of time in which the loop was at work, 0 to 1. */
  readonly busy: number
  /** Bytes a second that all replies had. */
  readonly rate: number
}

/** What is downloaded all the time. */
export interface LoadUnderWatch {
  readonly mode: Mode
  /** The path of its URL. */
  readonly path: string
  readonly clients: number
}

export interface LiveConnection {
  /** Its client's port. */
  readonly port: number | undefined
  readonly protocol: string | null
  readonly cipher: string | undefined
  /** Who encrypts what it sends; null: OpenSSL in the event loop. */
  readonly backend: Backend | null
  /** Of its last reply. */
  readonly url: string
  readonly path: Path | null
  readonly reason: FallbackReason | 'pending' | null
  /** Bytes of plaintext, heads included: what Node has written, and the files that the backend has taken. */
  readonly sent: number
  /** Bytes of the files that the backend has been given and has not taken yet. It tells of none how far it is. */
  readonly underWay: number
  /** Whether it is the one that asks. */
  readonly own: boolean
}

/** Milliseconds. */
export const PERIOD = 250
const RESOLUTION = 10

/** Samples of a second. */
const UNSTEADY = 4

/** Two minutes of them. */
const KEPT = 480

interface Known {
  backend: Backend | null
  url: string
  path: Path | null
  reason: LiveConnection['reason']
  underWay: number
}

/** What can be seen of an application's connections and its event loop, by public interfaces alone. */
export class Watch {
  #load: LoadUnderWatch | undefined
  /** How many samples there have been, and will have been before they are steady. */
  #taken = 0
  #steadyFrom = Infinity
  readonly #onSample: (sample: Sample) => void
  readonly #app: FastifyInstance<Server>
  readonly #connections = new Map<TLSSocket, Known>()
  readonly #samples: Sample[] = []
  #sentByClosed = 0

  constructor (app: FastifyInstance<Server>, onSample: (sample: Sample) => void) {
    this.#app = app
    this.#onSample = onSample
    app.server.on('secureConnection', (socket: TLSSocket) => {
      this.#connections.set(socket, { backend: null, url: '', path: null, reason: null, underWay: 0 })
      socket.once('close', () => {
        this.#connections.delete(socket)
        this.#sentByClosed += socket.bytesWritten
      })
    })
    app.addHook('onRequest', async request => {
      this.#update(request.raw.socket as TLSSocket, { url: request.url, path: null, reason: 'pending' })
    })
    // Of large data no channel tells.
    app.addHook('onResponse', async ({ raw, ktls: { path, reason } }) => {
      this.#update(raw.socket as TLSSocket, { path, reason })
    })
    const promoted = (message: unknown) => {
      const { socket, backend } = message as ChannelMessages['fastify-ktls.connection.promoted']
      this.#update(socket as TLSSocket, { backend })
    }
    const started = (message: unknown) => {
      const { socket, length } = message as TransferMessage
      this.#update(socket as TLSSocket, { path: 'file', reason: null })
      this.#underWay(socket as TLSSocket, length)
    }
    // Nothing is asked of an aborted one: it ends its connection.
    const finished = (message: unknown) => {
      const { socket, length } = message as TransferMessage
      this.#underWay(socket as TLSSocket, -length)
    }
    const fallback = (message: unknown) => {
      const { request, path, reason } = message as ChannelMessages['fastify-ktls.reply.fallback']
      this.#update(request.raw.socket as TLSSocket, { path, reason })
    }
    const channels = [
      ['fastify-ktls.connection.promoted', promoted],
      ['fastify-ktls.transfer.started', started],
      ['fastify-ktls.transfer.finished', finished],
      ['fastify-ktls.reply.fallback', fallback]
    ] as const
    for (const [name, listener] of channels) subscribe(name, listener)
    const stop = this.#sample()
    app.addHook('onClose', async () => {
      stop()
      for (const [name, listener] of channels) unsubscribe(name, listener)
    })
  }

  /** What the samples from now on are of. */
  follow (load: LoadUnderWatch | undefined): void {
    this.#load = load
    this.#steadyFrom = Infinity
  }

  /** How many samples there have been: fewer than before only in a new process. */
  get taken (): number {
    return this.#taken
  }

  /** Those after the one of that number. */
  samples (after: number): Sample[] {
    return this.#samples.filter(({ number }) => number > after)
  }

  connections (own: TLSSocket): LiveConnection[] {
    return [...this.#connections].map(([socket, { backend, url, path, reason, underWay }]) => ({
      port: socket.remotePort,
      protocol: socket.getProtocol(),
      cipher: socket.getCipher()?.standardName,
      backend,
      url,
      path,
      reason,
      // The socket counts a file when the backend is given it.
      sent: socket.bytesWritten - underWay,
      underWay,
      own: socket === own
    }))
  }

  /** Other instances of the process have connections of their own. */
  #update (socket: TLSSocket, change: Partial<Known>): void {
    const known = this.#connections.get(socket)
    if (known !== undefined) Object.assign(known, change)
  }

  #underWay (socket: TLSSocket, bytes: number): void {
    const known = this.#connections.get(socket)
    if (known !== undefined) known.underWay += bytes
  }

  #sample (): () => void {
    const histogram = monitorEventLoopDelay({ resolution: RESOLUTION })
    histogram.enable()
    let [last, sent, utilization] = [performance.now(), this.#sent(), performance.eventLoopUtilization()]
    const timer = setInterval(() => {
      const [now, sentNow, utilizationNow] = [performance.now(), this.#sent(), performance.eventLoopUtilization()]
      // Downloads come and go later on.
      if (this.#steadyFrom === Infinity && this.#allDownload()) this.#steadyFrom = this.#taken + UNSTEADY
      const sample: Sample = {
        number: this.#taken,
        mode: this.#load?.mode ?? 'idle',
        steady: this.#taken >= this.#steadyFrom,
        delay: Math.max(histogram.mean / 1e6 - RESOLUTION, 0) || 0,
        busy: performance.eventLoopUtilization(utilizationNow, utilization).utilization,
        rate: (sentNow - sent) / (now - last) * 1000
      }
      this.#samples.push(sample)
      this.#taken++
      if (this.#samples.length > KEPT) this.#samples.shift()
      histogram.reset()
      ;[last, sent, utilization] = [now, sentNow, utilizationNow]
      this.#onSample(sample)
    }, PERIOD)
    return () => {
      clearInterval(timer)
      histogram.disable()
    }
  }

  /** Whether each client has had its handshake, and a reply that has begun. */
  #allDownload (): boolean {
    const load = this.#load
    if (load === undefined) return false
    return [...this.#connections.values()].filter(({ url, path }) => url === load.path && path !== null).length >= load.clients
  }

  #sent (): number {
    const { support, stats } = this.#app.ktls
    if (support.backends.length > 0) return total(stats().bytes)
    // It counts no bytes then.
    return [...this.#connections.keys()].reduce((sum, { bytesWritten }) => sum + bytesWritten, this.#sentByClosed)
  }
}

function total ({ file, write, node }: PathCounts): number {
  return [...Object.values(file), ...Object.values(write), node].reduce((sum, count) => sum + count)
}
