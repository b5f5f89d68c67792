import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { Agent, get } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import type { Answer, Request, Settings, Usage } from './messages'

export interface Download {
  /** Bytes of the body. */
  readonly size: number
  readonly version: string
  /** The cipher suite's standard name. */
  readonly cipher: string
}

/** A server in a process of its own, and the one connection to it. */
export class Contender {
  readonly #child: ChildProcess
  readonly #ca: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  #port = 0

  private constructor (child: ChildProcess, ca: string) {
    this.#child = child
    this.#ca = ca
  }

  /** Rejects when the server cannot start; why, its process has written to stderr. */
  static async start (settings: Settings): Promise<Contender> {
    const child = fork(join(__dirname, 'server.js'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    process.once('exit', () => { child.kill() })
    const contender = new Contender(child, settings.certificate.cert)
    const answer = await contender.#ask({ type: 'start', settings })
    if (answer.type === 'listening') contender.#port = answer.port
    return contender
  }

  async usage (): Promise<Usage> {
    const answer = await this.#ask({ type: 'usage' })
    if (answer.type !== 'usage') throw new Error(`the server answers "${answer.type}"`)
    return answer.usage
  }

  /** `onData` gets the body as it comes. */
  async download (onData: (chunk: Uint8Array) => void = () => {}): Promise<Download> {
    const response = await this.#get()
    const socket = response.socket as TLSSocket
    const [version, cipher] = [socket.getProtocol() ?? '', socket.getCipher().standardName]
    if (response.statusCode !== 200) throw new Error(`the server replies with status ${response.statusCode}`)
    let size = 0
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      size += chunk.length
      onData(chunk)
    }
    return { size, version, cipher }
  }

  stop (): void {
    this.#agent.destroy()
    this.#child.kill()
  }

  #get (): Promise<IncomingMessage> {
    const options = { host: '127.0.0.1', port: this.#port, agent: this.#agent, ca: this.#ca, servername: 'localhost' }
    return new Promise((resolve, reject) => { get(options, resolve).once('error', reject) })
  }

  /** One question at a time. */
  #ask (request: Request): Promise<Answer> {
    const child = this.#child
    return new Promise((resolve, reject) => {
      const onExit = () => { reject(new Error('the server has ended')) }
      child.once('exit', onExit)
      child.once('message', (answer: Answer) => {
        child.off('exit', onExit)
        resolve(answer)
      })
      child.send(request)
    })
  }
}
