import { Server as TlsServer, TLSSocket } from 'node:tls'
import { Socket } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { FallbackReason } from '../../types/index'
import type { Binding, Session } from '../binding'
import { capture } from './capture'
import type { Claimant } from './capture'
import { tcpSocketOf } from './internals'
import { Pipeline } from './pipeline'
import type { ByteSource, Counters, Sent } from '../observe/stats'
import { BY_NODE } from '../way'
import type { Way } from '../way'
import type { Transmit } from './transmit'

/** One connection from its acceptance to its end. */
export class Connection implements ByteSource {
  /** Usually one; more when other TLS servers of the process accepted in the same tick. */
  sessions: readonly Session[]
  /** Present once a backend has had this connection. */
  transmit: Transmit | undefined
  /** Why the connection will never be promoted. */
  refusal: FallbackReason | undefined
  #socket: Socket | undefined
  #pipeline: Pipeline | undefined

  /** `socket`: of a connection without TLS. */
  constructor (sessions: readonly Session[], socket: Socket | undefined) {
    this.sessions = sessions
    this.#socket = socket
  }

  /** For the requests that come before the replies to earlier ones are sent. */
  get pipeline (): Pipeline {
    this.#pipeline ??= new Pipeline(this.#socket!)
    return this.#pipeline
  }

  /** How a reply goes that Node writes: without TLS by Node's own means, also where it waits behind a file. */
  get way (): Exclude<Way, { path: 'file' }> {
    const backend = this.transmit?.backend ?? 'plain'
    return backend === 'plain' ? BY_NODE : { path: 'write', backend }
  }

  secured (socket: TLSSocket): void {
    this.#socket = socket
    // nghttp2 writes to the TLS handle directly, below the socket's methods.
    if (socket.alpnProtocol === 'h2') this.refuse('http2')
    const { setMaxSendFragment, enableTrace } = socket
    // The backends' records are of 16 KiB, whatever the user asks for.
    socket.setMaxSendFragment = size => {
      this.refuse('max-send-fragment')
      return setMaxSendFragment.call(socket, size)
    }
    // A trace takes OpenSSL's message callback, by which we follow the connection.
    socket.enableTrace = () => {
      if (this.transmit !== undefined) return warnOfTrace()
      this.refuse('trace-enabled')
      enableTrace.call(socket)
    }
  }

  /** The connection stays with OpenSSL for good: its secrets are dropped. */
  refuse (reason: FallbackReason): void {
    this.refusal ??= reason
    if (this.transmit === undefined) this.forgetSessions()
  }

  /** Drops the secrets that the native part keeps for a promotion. */
  forgetSessions (): void {
    for (const session of this.sessions) session.forget()
    this.sessions = []
  }

  sent (): Sent {
    const { transmit } = this
    if (transmit === undefined) return { backend: null, node: this.#socket?.bytesWritten ?? 0 }
    const { backend, fileBytes: file, dataBytes: write, nodeBytes: node } = transmit
    return { backend, file, write, node }
  }
}

function warnOfTrace (): void {
  process.emitWarning('enableTrace() has no effect on a promoted connection; call it in "secureConnection"', { code: 'FST_KTLS_TRACE' })
}

/** Finds the connections of one Fastify instance, on all the servers it listens with. */
export class Connections implements Claimant {
  readonly #fastify: FastifyInstance
  readonly #counters: Counters
  readonly #servers = new WeakSet<Server>()
  readonly #bySocket = new WeakMap<Socket, Connection>()
  readonly #stop: () => void
  /** Whether Fastify is about to close its servers. */
  closing = false

  constructor (fastify: FastifyInstance, binding: Binding, counters: Counters) {
    this.#fastify = fastify
    this.#counters = counters
    this.#follow(fastify.server)
    this.#stop = capture(binding, this, fastify.server instanceof TlsServer)
  }

  /** New connections are not looked for any more. */
  release (): void {
    this.#stop()
  }

  /** That of a request's socket; undefined where it has TLS and was not captured, and of what is no socket, as with inject(). */
  of (socket: Socket): Connection | undefined {
    if (!((socket as unknown) instanceof Socket)) return undefined
    if (!(socket instanceof TLSSocket)) return this.#bySocket.get(socket) ?? this.adoptPlain(socket)
    const tcpSocket = tcpSocketOf(socket)
    return tcpSocket && this.#bySocket.get(tcpSocket)
  }

  owns (server: Server): boolean {
    if (this.#servers.has(server)) return true
    if (!this.#listensAt(server.address() as AddressInfo)) return false
    this.#follow(server)
    return true
  }

  adopt (socket: Socket, sessions: Session[] | undefined): void {
    const connection = new Connection(sessions ?? [], undefined)
    if (sessions === undefined) connection.refuse('trace-enabled')
    this.#add(socket, connection)
  }

  /** Also one that the application hands to the server by itself: then with its first request. */
  adoptPlain (socket: Socket): Connection {
    const connection = new Connection([], socket)
    this.#add(socket, connection)
    return connection
  }

  #add (socket: Socket, connection: Connection): void {
    this.#bySocket.set(socket, connection)
    if (socket.closed) return
    this.#counters.opened(connection)
    socket.once('close', () => this.#counters.closed(connection))
  }

  #follow (server: Server): void {
    this.#servers.add(server)
    // First in line: a listener of the user's may already change the socket.
    server.prependListener('secureConnection', (socket: TLSSocket) => this.of(socket)?.secured(socket))
  }

  /** Fastify opens one server more for each further address of `localhost`. */
  #listensAt (address: AddressInfo | null): boolean {
    return address !== null && this.#fastify.addresses().some(own =>
      // Node's types allow the path of a Unix socket here.
      typeof own === 'object' && own.port === address.port && own.address === address.address)
  }
}
