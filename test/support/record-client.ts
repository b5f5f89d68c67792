import { createHmac, createCipheriv, createDecipheriv } from 'node:crypto'
import type { CipherGCMTypes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { connected, requestOf } from './client'
import { sha256 } from './files'

const HEADER = 5
const TAG = 16

export const CONTENT = { alert: 21, handshake: 22, data: 23 } as const
const KEY_UPDATE = 24

interface Suite { readonly cipher: CipherGCMTypes | 'chacha20-poly1305', readonly hash: string, readonly keySize: number }

export const SUITES: Record<string, Suite> = {
  TLS_AES_128_GCM_SHA256: { cipher: 'aes-128-gcm', hash: 'sha256', keySize: 16 },
  TLS_AES_256_GCM_SHA384: { cipher: 'aes-256-gcm', hash: 'sha384', keySize: 32 },
  TLS_CHACHA20_POLY1305_SHA256: { cipher: 'chacha20-poly1305', hash: 'sha256', keySize: 32 }
}

/** One direction's keys of TLS 1.3 (RFC 8446 7.3, 5.2). */
export class RecordKeys {
  readonly #suite: Suite
  #secret: Buffer
  #key!: Buffer
  #iv!: Buffer
  #sequence = 0n

  constructor (suite: Suite, secret: Buffer) {
    this.#suite = suite
    this.#secret = secret
    this.#derive()
  }

  get key (): Buffer {
    return this.#key
  }

  /** RFC 8446 7.2 */
  update (): void {
    this.#secret = this.#expand('traffic upd', this.#secret.length)
    this.#derive()
  }

  seal (type: number, content: Uint8Array): Buffer {
    const header = Buffer.from([CONTENT.data, 3, 3, 0, 0])
    header.writeUInt16BE(content.length + 1 + TAG, 3)
    const cipher = createCipheriv(this.#suite.cipher as 'aes-128-gcm', this.#key, this.#nonce(), { authTagLength: TAG })
    cipher.setAAD(header)
    const sealed = Buffer.concat([cipher.update(content), cipher.update(Buffer.from([type])), cipher.final()])
    this.#sequence++
    return Buffer.concat([header, sealed, cipher.getAuthTag()])
  }

  /** `undefined`: not sealed with this key and sequence. */
  open (record: Buffer): { type: number, content: Buffer } | undefined {
    const decipher = createDecipheriv(this.#suite.cipher as 'aes-128-gcm', this.#key, this.#nonce(), { authTagLength: TAG })
    decipher.setAAD(record.subarray(0, HEADER))
    decipher.setAuthTag(record.subarray(-TAG))
    const inner = decipher.update(record.subarray(HEADER, -TAG))
    try {
      decipher.final()
    } catch {
      return undefined
    }
    this.#sequence++
    return { type: inner[inner.length - 1]!, content: inner.subarray(0, -1) }
  }

  #derive (): void {
    this.#key = this.#expand('key', this.#suite.keySize)
    this.#iv = this.#expand('iv', 12)
    this.#sequence = 0n
  }

  /** HKDF-Expand-Label (RFC 8446 7.1) of no more than one block. */
  #expand (label: string, length: number): Buffer {
    const info = Buffer.concat([Buffer.from([0, length, 6 + label.length]), Buffer.from(`tls13 ${label}`), Buffer.from([0, 1])])
    return createHmac(this.#suite.hash, this.#secret).update(info).digest().subarray(0, length)
  }

  #nonce (): Buffer {
    const nonce = Buffer.from(this.#iv)
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ this.#sequence, 4)
    return nonce
  }
}

/**
 * A TLS 1.3 client that speaks in records: it can say what no library says, and
 * sees each record with its type. One that is not under the key and sequence
 * that must be its own fails all. Node's client does the handshake.
 */
export class RecordClient extends EventEmitter<{ progress: [] }> {
  readonly tcp: Socket
  /** Bodies of alerts: level and description (RFC 8446 6). */
  readonly alerts: number[][] = []
  keyUpdates = 0
  ended = false
  #write: RecordKeys
  #read: RecordKeys
  #started = false
  #raw = Buffer.alloc(0)
  #data: Buffer[] = []
  #size = 0

  constructor (tcp: Socket, write: RecordKeys, read: RecordKeys, received: Buffer) {
    super()
    this.tcp = tcp
    this.#write = write
    this.#read = read
    this.#receive(received)
    tcp.on('data', bytes => this.#receive(bytes))
    tcp.on('error', () => {})
    tcp.once('close', () => {
      this.ended = true
      this.emit('progress')
    })
  }

  send (type: number, content: Uint8Array): void {
    this.tcp.write(this.#write.seal(type, content))
  }

  /** A record whose tag is wrong. */
  sendCorrupt (): void {
    const record = this.#write.seal(CONTENT.data, Buffer.from('x'))
    record[record.length - 1]! ^= 1
    this.tcp.write(record)
  }

  get (path: string, ...headers: readonly string[]): void {
    this.send(CONTENT.data, Buffer.from(requestOf(path, headers)))
  }

  updateKey (requested: boolean): void {
    this.send(CONTENT.handshake, Buffer.from([KEY_UPDATE, 0, 0, 1, requested ? 1 : 0]))
    this.#write.update()
  }

  /** Rejects if the connection ends and the condition does not hold. */
  async until (condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.ended) throw new Error(`ended with ${this.#size} bytes unread, ${this.keyUpdates} KeyUpdates, alerts ${JSON.stringify(this.alerts)}`)
      await once(this, 'progress')
    }
  }

  /** The next reply, or what there was of it when the connection ended. */
  async reply (): Promise<{ head: string, complete: boolean, sha256: string }> {
    await this.until(() => this.ended || this.#received().includes('\r\n\r\n'))
    const head = this.#received().indexOf('\r\n\r\n') + 4
    if (head < 4) return { head: '', complete: false, sha256: '' }
    const text = this.#received().toString('latin1', 0, head)
    const end = head + Number(/content-length: (\d+)/i.exec(text)![1])
    await this.until(() => this.ended || this.#size >= end)
    const bytes = this.#received()
    this.#data = [bytes.subarray(end)]
    this.#size = this.#data[0]!.length
    return { head: text, complete: bytes.length >= end, sha256: sha256(bytes.subarray(head, end)) }
  }

  #received (): Buffer {
    if (this.#data.length !== 1) this.#data = [Buffer.concat(this.#data)]
    return this.#data[0]!
  }

  #receive (bytes: Buffer): void {
    this.#raw = Buffer.concat([this.#raw, bytes])
    while (this.#raw.length >= HEADER) {
      const size = HEADER + this.#raw.readUInt16BE(3)
      if (this.#raw.length < size) break
      this.#see(this.#raw.subarray(0, size))
      this.#raw = this.#raw.subarray(size)
    }
    this.emit('progress')
  }

  #see (record: Buffer): void {
    const opened = record[0] === CONTENT.data ? this.#read.open(record) : undefined
    if (opened === undefined) {
      // Before the first one come those of the handshake, under its own keys.
      if (this.#started) throw new Error('a record is not under the key and sequence that it must have')
      return
    }
    this.#started = true
    const { type, content } = opened
    // RFC 8446 6
    if (this.alerts.length > 0) throw new Error('a record after an alert')
    if (type === CONTENT.data) {
      this.#data.push(content)
      this.#size += content.length
    }
    if (type === CONTENT.alert) this.alerts.push([...content])
    if (type === CONTENT.handshake && content[0] === KEY_UPDATE) {
      this.keyUpdates++
      this.#read.update()
    }
  }
}

/** Connects to a server on the loopback interface. */
export async function connectRecords (port: number, suite = 'TLS_AES_256_GCM_SHA384'): Promise<RecordClient> {
  const tcp = connectTcp(port, '127.0.0.1')
  const received: Buffer[] = []
  const transport = new Duplex({
    read: () => {},
    write: (chunk, _encoding, callback) => { tcp.write(chunk, callback) }
  })
  const feed = (bytes: Buffer) => {
    received.push(bytes)
    transport.push(bytes)
  }
  tcp.on('data', feed)
  const tls = connectTls({ socket: transport, rejectUnauthorized: false, ciphers: suite, minVersion: 'TLSv1.3' })
  const secrets = new Map<string, Buffer>()
  tls.on('keylog', line => {
    const [label, , secret] = line.toString().trim().split(' ')
    secrets.set(label!, Buffer.from(secret!, 'hex'))
  })
  const onClose = () => { tls.destroy(new Error('closed in the handshake')) }
  tcp.once('close', onClose)
  await connected(tls)
  tcp.off('close', onClose)
  tcp.off('data', feed)
  const keys = (label: string) => new RecordKeys(SUITES[suite]!, secrets.get(label)!)
  return new RecordClient(tcp, keys('CLIENT_TRAFFIC_SECRET_0'), keys('SERVER_TRAFFIC_SECRET_0'), Buffer.concat(received))
}
