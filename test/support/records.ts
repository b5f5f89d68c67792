const HEADER = 5
const ALERT = 21
/** An alert of TLS 1.3: two bytes, the inner content type and a tag (RFC 8446 5.2). */
const SEALED_ALERT = 2 + 1 + 16

/** Follows the records of a TLS connection as they pass, sealed. */
export class RecordWatch {
  #pending = Buffer.alloc(0)
  #skip = 0
  #last: { type: number, length: number } | undefined

  see (bytes: Buffer): void {
    while (bytes.length > 0) {
      const skipped = Math.min(this.#skip, bytes.length)
      this.#skip -= skipped
      bytes = bytes.subarray(skipped)
      const missing = HEADER - this.#pending.length
      this.#pending = Buffer.concat([this.#pending, bytes.subarray(0, missing)])
      bytes = bytes.subarray(missing)
      if (this.#pending.length < HEADER) return
      this.#last = { type: this.#pending.readUInt8(0), length: this.#pending.readUInt16BE(3) }
      this.#skip = this.#last.length
      this.#pending = Buffer.alloc(0)
    }
  }

  /** Whether all ended with an alert, which in these tests can only be a close_notify. */
  endsWithAlert (): boolean {
    if (this.#last === undefined || this.#skip > 0 || this.#pending.length > 0) return false
    return this.#last.type === ALERT || this.#last.length === SEALED_ALERT
  }
}
