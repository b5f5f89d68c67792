import type { FallbackReason } from '../../types/index'

/**
 * Why a payload that is no file is left to Node, as an onSend hook sees it; undefined: it is data of more than `most` bytes,
 * which Fastify writes in one go. A string has at least as many bytes as UTF-16 units.
 */
export function refusePayload (payload: unknown, most: number): FallbackReason | undefined {
  if (payload === undefined || payload === null) return 'no-payload'
  if (typeof payload === 'string') return payload.length > most ? undefined : 'data'
  if (ArrayBuffer.isView(payload)) return payload.byteLength > most ? undefined : 'data'
  if (typeof (payload as { pipe?: unknown }).pipe === 'function') return 'stream'
  // A Response's body is one, or it has none.
  return 'web-stream'
}
