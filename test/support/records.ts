const HEADER = 5
const ALERT = 21
/** An alert of TLS 1.3: two bytes, the inner content type and a tag (RFC 8446 5.2). */
const SEALED_ALERT = 2 + 1 + 16

/** What can be seen of a sealed record; the length is that of what follows the header. */
export interface SeenRecord {
  readonly type: number
  readonly length: number
}

/** Follows the records of a TLS connection as they pass, sealed. */
export class RecordWatch {
  readonly seen: SeenRecord[] = []
  #pending = Buffer.alloc(0)
  #skip = 0

  see (bytes: Buffer): void {
    while (bytes.length > 0) {
      const skipped = Math.min(this.#skip, bytes.length)
      this.#skip -= skipped
      bytes = bytes.subarray(skipped)
      const missing = HEADER - this.#pending.length
      this.#pending = Buffer.concat([this.#pending, bytes.subarray(0, missing)])
      bytes = bytes.subarray(missing)
      if (this.#pending.length < HEADER) return
      this.#skip = this.#pending.readUInt16BE(3)
      this.seen.push({ type: this.#pending.readUInt8(0), length: this.#skip })
      this.#pending = Buffer.alloc(0)
    }
  }

  /** Whether all ended with an alert, which in these tests can only be a close_notify. */
  endsWithAlert (): boolean {
    const last = this.seen.at(-1)
    if (last === undefined || this.#skip > 0 || this.#pending.length > 0) return false
    return last.type === ALERT || last.length === SEALED_ALERT
  }
}
