const HEADER = 5
const ALERT = 21
const CHANGE_CIPHER_SPEC = 20
/** An alert of TLS 1.3: two bytes, the inner content type and a tag (RFC 8446 5.2). */
const SEALED_ALERT = 2 + 1 + 16
/** The explicit nonce of TLS 1.2 with GCM (RFC 5288 3). */
const EXPLICIT_NONCE = 8

/** What can be seen of a sealed record; the length is that of what follows the header. */
export interface SeenRecord {
  readonly type: number
  readonly length: number
  /** The first 8 bytes of it, or what there is: of TLS 1.2 with GCM the explicit nonce. */
  readonly start: Buffer
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
      const missing = this.#wanted() - this.#pending.length
      this.#pending = Buffer.concat([this.#pending, bytes.subarray(0, missing)])
      bytes = bytes.subarray(missing)
      if (this.#pending.length < this.#wanted()) continue
      const length = this.#pending.readUInt16BE(3)
      const start = this.#pending.subarray(HEADER)
      this.seen.push({ type: this.#pending.readUInt8(0), length, start })
      this.#skip = length - start.length
      this.#pending = Buffer.alloc(0)
    }
  }

  /** Of a record whose header is there, its beginning too. */
  #wanted (): number {
    return this.#pending.length < HEADER ? HEADER : HEADER + Math.min(this.#pending.readUInt16BE(3), EXPLICIT_NONCE)
  }

  /** Of TLS 1.2 with GCM: the explicit nonces, in the order of the records that have one. */
  nonces (): bigint[] {
    const change = this.seen.findIndex(({ type }) => type === CHANGE_CIPHER_SPEC)
    return this.seen.slice(change + 1).map(({ start }) => start.readBigUInt64BE())
  }

  /** Whether all ended with an alert, which in these tests can only be a close_notify. */
  endsWithAlert (): boolean {
    const last = this.seen.at(-1)
    if (last === undefined || this.#skip > 0 || this.#pending.length > 0) return false
    return last.type === ALERT || last.length === SEALED_ALERT
  }
}
