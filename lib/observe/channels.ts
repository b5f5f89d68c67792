import { channel } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import type { Backend, ChannelMessages, FallbackReason, Path, TlsVersion, TransferMessage } from '../../types/index'

/*
 * Named with dots, as Node's own channels and Fastify's. Unheard, each event costs
 * one look at hasSubscribers: no message is made.
 */
const promoted = channel('fastify-ktls.connection.promoted')
const rekeyed = channel('fastify-ktls.connection.rekeyed')
const fallback = channel('fastify-ktls.reply.fallback')
const started = channel('fastify-ktls.transfer.started')
const finished = channel('fastify-ktls.transfer.finished')
const aborted = channel('fastify-ktls.transfer.aborted')

export function publishPromoted (socket: Socket, backend: Backend): void {
  if (!promoted.hasSubscribers) return
  promoted.publish({
    socket,
    backend,
    version: socket instanceof TLSSocket ? socket.getProtocol() as TlsVersion : null,
    cipher: socket instanceof TLSSocket ? socket.getCipher().standardName : null
  } satisfies ChannelMessages['fastify-ktls.connection.promoted'])
}

export function publishRekeyed (socket: Socket): void {
  if (!rekeyed.hasSubscribers) return
  rekeyed.publish({ socket } satisfies ChannelMessages['fastify-ktls.connection.rekeyed'])
}

export function publishFallback (request: FastifyRequest, path: Exclude<Path, 'file'>, reason: FallbackReason): void {
  if (!fallback.hasSubscribers) return
  fallback.publish({ request, path, reason } satisfies ChannelMessages['fastify-ktls.reply.fallback'])
}

/** The part of a file that a transfer sends, and by whom. */
type Part = Pick<TransferMessage, 'backend' | 'offset' | 'length'>

export function publishStarted (request: FastifyRequest, socket: Socket, part: Part): void {
  if (started.hasSubscribers) started.publish(transfer(request, socket, part))
}

export function publishFinished (request: FastifyRequest, socket: Socket, part: Part): void {
  if (finished.hasSubscribers) finished.publish(transfer(request, socket, part))
}

export function publishAborted (request: FastifyRequest, socket: Socket, part: Part, sent: number, error: Error | null): void {
  if (!aborted.hasSubscribers) return
  aborted.publish({ ...transfer(request, socket, part), sent, error } satisfies ChannelMessages['fastify-ktls.transfer.aborted'])
}

function transfer (request: FastifyRequest, socket: Socket, { backend, offset, length }: Part): TransferMessage {
  return { request, socket, backend, offset, length }
}
