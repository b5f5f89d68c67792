import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { getSystemErrorName } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import type { Backend, FallbackReason, Support } from '../../types/index'
import type { Binding, Choice, Failure, Promotion, Refusal, Session, TransmitListener, Transmitter } from '../binding'
import { publishPromoted, publishRekeyed } from '../observe/channels'
import type { Connection } from './connections'
import { descriptorOf, hasWrittenAll, later } from './internals'
import { Warnings, debugs } from '../observe/log'
import type { Counters } from '../observe/stats'
import { cipherOf } from '../machine/support'
import { Transmit } from './transmit'
import type { TransmitOwner } from './transmit'

/**
 * Turns of the event loop after which a connection that still has bytes to
 * write is left to OpenSSL for this reply. Session tickets are out after one.
 */
const MAX_TURNS = 8

type Done = (refusal?: FallbackReason) => void

type Log = Pick<FastifyBaseLogger, 'debug' | 'warn'>

/** Gives connections to a backend, and tells of it and of what becomes of their keys. */
export class Promoter implements TransmitOwner {
  readonly #binding: Binding
  readonly #support: Support
  readonly #backends: readonly Backend[]
  readonly #counters: Counters
  readonly #log: Log
  readonly #warnings: Warnings

  constructor (binding: Binding, support: Support, backends: readonly Backend[], counters: Counters, log: Log) {
    this.#binding = binding
    this.#support = support
    this.#backends = backends
    this.#counters = counters
    this.#log = log
    this.#warnings = new Warnings(log)
  }

  /** Why not; undefined: `connection.transmit` is active. */
  promoteNow (connection: Connection, socket: Socket): FallbackReason | undefined {
    if (socket.destroyed || socket.writableEnded) return 'connection-closed'
    if (connection.transmit?.active === true) return undefined
    if (connection.refusal !== undefined) return connection.refusal
    return socket instanceof TLSSocket ? this.#promoteTls(connection, socket) : this.#promotePlain(connection, socket)
  }

  /** Calls `done` with the same, once the socket has nothing to write any more. */
  promote (connection: Connection, socket: Socket, done: Done, turn = 0): void {
    const refusal = this.promoteNow(connection, socket)
    if (refusal === 'not-ready' && turn < MAX_TURNS) {
      later(() => this.promote(connection, socket, done, turn + 1))
    } else {
      done(refusal)
    }
  }

  /** The same for what is written without waiting for it: that is kept until `done` has been called. */
  promoteFor (connection: Connection, socket: Socket, done: Done): void {
    const refusal = this.promoteNow(connection, socket)
    if (refusal !== 'not-ready') return done(refusal)
    const transmit = this.#transmitOf(socket)
    transmit.held.begin()
    later(() => this.promote(connection, socket, refusal => {
      done(refusal)
      transmit.held.handOn()
    }, 1))
  }

  /** Which backends may have the connection, or why none may. */
  #choose (socket: TLSSocket): Choice | FallbackReason {
    // Unix sockets have no address (TCP ones keep theirs), and a promotion asks TCP what is on its way.
    if (socket.localAddress === undefined) return 'unix-socket'
    const version = socket.getProtocol()
    if (version !== 'TLSv1.2' && version !== 'TLSv1.3') return 'version-not-offloadable'
    const cipher = cipherOf(socket.getCipher().standardName)
    if (cipher === undefined) return 'cipher-not-offloadable'
    const { versions, rekey } = this.#support
    const kernel = this.#backends.includes('kernel') && versions[version][cipher]
    const threads = this.#backends.includes('threads')
    return kernel || threads ? { kernel, rekey, threads } : 'cipher-not-offloadable'
  }

  #promoteTls (connection: Connection, socket: TLSSocket): FallbackReason | undefined {
    const choice = this.#choose(socket)
    if (typeof choice === 'string') return final(connection, choice)
    const fd = descriptorOf(socket)
    const finished = socket.getFinished()
    if (finished === undefined || isWriting(socket)) return 'not-ready'
    const session = connection.sessions.find(candidate => candidate.matches(finished))
    if (session === undefined || fd === undefined) return final(connection, 'not-captured')
    const listening = new Listening(connection)
    const result = session.promote(fd, choice, listening.hear)
    if ('refusal' in result) {
      this.#report(result)
      // Descriptors may be there again for the next reply.
      const reason = result.refusal as FallbackReason
      return reason === 'not-ready' || reason === 'no-resources' ? reason : final(connection, reason)
    }
    listening.transmitter = result.transmitter
    this.#switch(connection, socket, result, session)
    connection.forgetSessions()
    return undefined
  }

  /** For one file reply (Transmit.release). */
  #promotePlain (connection: Connection, socket: Socket): FallbackReason | undefined {
    const fd = descriptorOf(socket)
    if (fd === undefined) return final(connection, 'not-captured')
    if (isWriting(socket) || !hasWrittenAll(socket)) return 'not-ready'
    const listening = new Listening(connection)
    const result = this.#binding.promotePlain(fd, listening.hear)
    if ('refusal' in result) {
      this.#report(result)
      return result.refusal as FallbackReason
    }
    listening.transmitter = result.transmitter
    this.#switch(connection, socket, result)
    return undefined
  }

  #transmitOf (socket: Socket): Transmit {
    return Transmit.of(socket) ?? new Transmit(this.#binding, socket, this)
  }

  /** Says once which call fails, and how. */
  #report ({ refusal, ...failure }: Refusal): void {
    if (failure.error === 0) return
    this.#warnings.once(`fastify-ktls: a connection stays with Node (${refusal}): ${describe(failure)}`)
  }

  #switch (connection: Connection, socket: Socket, { transmitter, cause }: Promotion, session?: Session): void {
    const { backend } = transmitter
    const first = connection.transmit === undefined
    connection.transmit ??= this.#transmitOf(socket)
    connection.transmit.begin(transmitter, session)
    if (!first) return
    this.#counters.promoted(backend)
    publishPromoted(socket, backend)
    if (cause !== null) this.#warnings.once(`fastify-ktls: a connection goes by sender threads, as the kernel refuses it: ${describe(cause)}`)
    if (debugs(this.#log)) this.#log.debug({ ktls: { backend, ...addressOf(socket) } }, 'fastify-ktls: a connection is promoted')
  }

  keysUpdated (socket: Socket, count: number): void {
    this.#counters.keysUpdated(count)
    publishRekeyed(socket)
    if (debugs(this.#log)) this.#log.debug({ ktls: addressOf(socket) }, 'fastify-ktls: a transmit key is changed')
  }

  keyUsedUp (socket: Socket): void {
    this.#counters.keyUsedUp()
    this.#warnings.once(`fastify-ktls: a connection ends because its transmit key is due for a change, which ${(socket as TLSSocket).getProtocol() === 'TLSv1.2' ? 'TLS 1.2 does not have' : 'this kernel cannot make; Linux 6.14 can, with TLS 1.3'}`)
    if (debugs(this.#log)) this.#log.debug({ ktls: addressOf(socket) }, 'fastify-ktls: a transmit key is used up')
  }

  bypassed (error: Error): void {
    this.#warnings.once(`fastify-ktls: a connection ends: ${error.message}`)
  }
}

/** Whether Node may have something of the socket's to write. */
function isWriting (socket: Socket): boolean {
  return socket.writableLength > 0 && Transmit.of(socket)?.held.any !== true
}

function describe ({ call, error }: Failure): string {
  return `${call} failed with ${getSystemErrorName(error)}`
}

/** Which connection a line of the log is about. */
function addressOf ({ remoteAddress, remotePort }: Socket): object {
  return { remoteAddress, remotePort }
}

/**
 * Hears a transmitter, and keeps it until it has closed, for as long as the native part has the listener: of one that is
 * collected before nobody would hear that it has, and the event loop wait for ever.
 */
class Listening {
  transmitter: Transmitter | undefined
  readonly hear: TransmitListener

  constructor (connection: Connection) {
    this.hear = (event, number, call) => connection.transmit!.hear(this.transmitter, event, number, call)
  }
}

function final (connection: Connection, reason: FallbackReason): FallbackReason {
  connection.refuse(reason)
  return reason
}
