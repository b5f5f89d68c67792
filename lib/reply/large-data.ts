/** Whether a payload is data of more than `most` bytes, which Fastify writes in one go. A string has at least as many bytes as UTF-16 units. */
export function isLargeData (payload: unknown, most: number): boolean {
  return typeof payload === 'string' ? payload.length > most : ArrayBuffer.isView(payload) && payload.byteLength > most
}
