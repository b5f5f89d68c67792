import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

const END_OF_HEAD = Buffer.from('\r\n\r\n')

/** A keep-alive connection that asks for one thing after the other. */
export class Client {
  readonly #socket: Socket
  #receive: (chunk: Buffer) => void = () => {}
  #fail: (error: Error) => void = () => {}

  private constructor (socket: Socket) {
    this.#socket = socket
    socket.on('data', chunk => this.#receive(chunk))
    socket.on('error', error => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the server closed the connection')))
  }

  static async connect (port: number, secure: boolean): Promise<Client> {
    const socket = secure
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, minVersion: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384' })
      : connectTcp(port, '127.0.0.1')
    socket.setNoDelay(true)
    await once(socket, secure ? 'secureConnect' : 'connect')
    return new Client(socket)
  }

  /** Asks once and resolves with the number of bytes of the body; `onBody` gets them. */
  get (path: string, headers: readonly string[] = [], onBody: (bytes: Buffer) => void = () => {}): Promise<number> {
    return new Promise((resolve, reject) => {
      let head = Buffer.alloc(0)
      let length = -1
      let left = 0
      this.#receive = chunk => {
        if (length < 0) {
          head = Buffer.concat([head, chunk])
          const end = head.indexOf(END_OF_HEAD)
          if (end < 0) return
          const text = head.toString('latin1', 0, end)
          length = /^HTTP\/1.1 304 /.test(text) ? 0 : Number(/^content-length: (\d+)$/im.exec(text)?.[1] ?? NaN)
          if (!/^HTTP\/1.1 (20[06]|304) /.test(text) || Number.isNaN(length)) return reject(new Error(`${path}: ${text}`))
          left = length
          chunk = head.subarray(end + END_OF_HEAD.length)
        }
        left -= chunk.length
        onBody(chunk)
        if (left < 0) reject(new Error(`${path}: ${-left} bytes too many`))
        if (left === 0) resolve(length)
      }
      this.#fail = reject
      if (this.#socket.destroyed) reject(new Error('the connection is closed'))
      this.#socket.write([`GET ${path} HTTP/1.1`, 'Host: localhost', ...headers, '', ''].join('\r\n'))
    })
  }

  async close (): Promise<void> {
    if (this.#socket.closed) return
    this.#socket.destroy()
    await once(this.#socket, 'close')
  }
}
