import type { TLSSocket } from 'node:tls'
import { getSystemErrorName } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import type { FallbackReason, Support } from '../../types/index'
import type { Refusal, Session, Transmitter } from '../binding'
import { publishPromoted, publishRekeyed } from '../observe/channels'
import type { Connection } from './connections'
import { descriptorOf } from './internals'
import { Warnings, debugs } from '../observe/log'
import type { Counters } from '../observe/stats'
import { cipherOf } from '../machine/support'
import { KernelTransmit } from './transmit'
import type { TransmitOwner } from './transmit'

/**
 * Turns of the event loop after which a connection that still has bytes to
 * write is left to OpenSSL for this reply. Session tickets are out after one.
 */
const MAX_TURNS = 8

type Done = (refusal?: FallbackReason) => void

type Log = Pick<FastifyBaseLogger, 'debug' | 'warn'>

/** Switches connections to the kernel, and tells of it and of what becomes of their keys. */
export class Promoter implements TransmitOwner {
  readonly #support: Support
  readonly #counters: Counters
  readonly #log: Log
  readonly #warnings: Warnings

  constructor (support: Support, counters: Counters, log: Log) {
    this.#support = support
    this.#counters = counters
    this.#log = log
    this.#warnings = new Warnings(log)
  }

  /** Calls `done` with why not; without argument once `connection.transmit` is there. */
  promote (connection: Connection, socket: TLSSocket, done: Done, turn = 0): void {
    if (connection.transmit !== undefined) return done()
    if (socket.destroyed) return done('connection-closed')
    connection.refusal ??= this.#refuseProtocol(socket)
    if (connection.refusal !== undefined) {
      connection.refuse(connection.refusal)
      return done(connection.refusal)
    }
    const refusal = this.#attempt(connection, socket)
    if (refusal === 'not-ready' && turn < MAX_TURNS) {
      setImmediate(() => this.promote(connection, socket, done, turn + 1))
    } else {
      done(refusal)
    }
  }

  #refuseProtocol (socket: TLSSocket): FallbackReason | undefined {
    // Unix sockets have no address (TCP ones keep theirs), and kernel TLS is TCP's.
    if (socket.localAddress === undefined) return 'unix-socket'
    const version = socket.getProtocol()
    if (version !== 'TLSv1.2' && version !== 'TLSv1.3') return 'version-not-offloadable'
    const cipher = cipherOf(socket.getCipher().standardName)
    return cipher !== undefined && this.#support.versions[version][cipher] ? undefined : 'cipher-not-offloadable'
  }

  #attempt (connection: Connection, socket: TLSSocket): FallbackReason | undefined {
    const fd = descriptorOf(socket)
    const finished = socket.getFinished()
    if (finished === undefined || socket.writableLength > 0) return 'not-ready'
    const session = connection.sessions.find(candidate => candidate.matches(finished))
    if (session === undefined || fd === undefined) return final(connection, 'not-captured')
    const result = session.promote(fd, this.#support.rekey, (event, number, call) => connection.transmit!.hear(event, number, call))
    if ('refusal' in result) {
      this.#report(result)
      // Descriptors may be there again for the next reply.
      const reason = result.refusal as FallbackReason
      return reason === 'not-ready' || reason === 'no-resources' ? reason : final(connection, reason)
    }
    this.#switch(connection, socket, session, result)
    return undefined
  }

  /** Says once which system call fails, and how. */
  #report ({ refusal, call, error }: Refusal): void {
    if (error === 0) return
    this.#warnings.once(`fastify-ktls: a connection stays with OpenSSL (${refusal}): ${call} failed with ${getSystemErrorName(error)}`)
  }

  #switch (connection: Connection, socket: TLSSocket, session: Session, transmitter: Transmitter): void {
    connection.transmit = new KernelTransmit(socket, session, transmitter, this)
    connection.forgetSessions()
    this.#counters.promoted()
    publishPromoted(socket)
    if (debugs(this.#log)) this.#log.debug({ ktls: addressOf(socket) }, 'fastify-ktls: a connection is promoted')
  }

  keysUpdated (socket: TLSSocket, count: number): void {
    this.#counters.keysUpdated(count)
    publishRekeyed(socket)
    if (debugs(this.#log)) this.#log.debug({ ktls: addressOf(socket) }, 'fastify-ktls: a transmit key is changed')
  }

  keyUsedUp (socket: TLSSocket): void {
    this.#counters.keyUsedUp()
    this.#warnings.once('fastify-ktls: a connection ends because its transmit key is due for a change, which this kernel cannot make; Linux 6.14 can, with TLS 1.3')
    if (debugs(this.#log)) this.#log.debug({ ktls: addressOf(socket) }, 'fastify-ktls: a transmit key is used up')
  }

  bypassed (error: Error): void {
    this.#warnings.once(`fastify-ktls: a connection ends: ${error.message}`)
  }
}

/** Which connection a line of the log is about. */
function addressOf ({ remoteAddress, remotePort }: TLSSocket): object {
  return { remoteAddress, remotePort }
}

function final (connection: Connection, reason: FallbackReason): FallbackReason {
  connection.refuse(reason)
  return reason
}
