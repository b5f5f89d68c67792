import type { FastifyReply } from 'fastify'
import type { FileRange } from '../binding'
import { endIfIdle } from '../connection/internals'
import { isOwnError } from '../connection/transmit'
import type { Transmit } from '../connection/transmit'
import { publishAborted, publishFinished, publishStarted } from '../observe/channels'
import type { FileReplyContext } from './file-reply'

/** Makes `response.write()` write the head alone, as it writes it before a stream's first chunk. */
const NOTHING = Buffer.alloc(0)

/** How many of a file's bytes the backend has taken. */
export class Transfer {
  readonly #transmit: Transmit
  readonly #before: number
  #end: number | undefined

  constructor (transmit: Transmit) {
    this.#transmit = transmit
    this.#before = transmit.fileBytes
  }

  get bytes (): number {
    return this.#end ?? this.#transmit.fileBytes - this.#before
  }

  /** The connection's other files wait for this one's end: its bytes are not this one's. */
  end (): void {
    this.#end = this.bytes
  }
}

/** Has the backend send a reply's head and its file, whose descriptor it closes, and calls `end` once it has taken all and the response is to be ended. */
export function startTransfer (reply: FastifyReply, { connection, isClosing }: FileReplyContext, range: FileRange, end: () => void): Transfer {
  const transmit = connection.transmit!
  const { request, raw: response } = reply
  const socket = response.socket!
  const part = { backend: transmit.backend, offset: range.offset, length: range.length }
  const transfer = new Transfer(transmit)
  publishStarted(request, socket, part)
  // Corked by Node until the next tick, so that the queue gets head and file in one go.
  response.write(NOTHING)
  transmit.sendRange(range, error => {
    transfer.end()
    if (transfer.bytes === range.length) publishFinished(request, socket, part)
    else publishAborted(request, socket, part, transfer.bytes, error ?? null)
    if (error == null) {
      if (socket.destroyed || response.destroyed || response.writableEnded) return
      end()
      // The client has had all of it before: where Fastify has closed meanwhile, which ends idle connections once, it has found this one busy.
      if (isClosing()) response.once('close', () => endIfIdle(socket))
    } else if (isOwnError(error)) {
      // The Writable destroys the socket. That a client left, Fastify logs itself.
      reply.log.warn({ err: error }, 'fastify-ktls: the file could not be sent whole')
    }
  })
  return transfer
}
