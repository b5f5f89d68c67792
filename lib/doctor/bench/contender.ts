import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { Agent, get } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import type { Answer, Request, Settings, Usage } from './messages'

export interface Download {
  /** Bytes of the body that came. */
  readonly size: number
  /** Whether all of it came; not where it was cut. */
  readonly whole: boolean
  /** Null where it was cut before its head came. */
  readonly session: Session | null
}

export interface Session {
  readonly protocol: string
  /** The cipher suite's standard name. */
  readonly cipher: string
}

/** A server in a process of its own, and the one connection to it. */
export class Contender {
  readonly name: Settings['name']
  readonly #settings: Settings
  readonly #child: ChildProcess
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  #port = 0

  constructor (settings: Settings) {
    this.name = settings.name
    this.#settings = settings
    this.#child = fork(join(__dirname, 'server.js'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    process.once('exit', () => { this.stop() })
  }

  /** Rejects where the server cannot start, with what it says. */
  async start (): Promise<void> {
    const answer = await this.#ask({ type: 'start', settings: this.#settings })
    if (answer.type === 'listening') this.#port = answer.port
  }

  async usage (): Promise<Usage> {
    const answer = await this.#ask({ type: 'usage' })
    if (answer.type !== 'usage') throw new Error(`the server answers "${answer.type}"`)
    return answer.usage
  }

  /**
   * `onData` gets the body as it comes. Where the signal is aborted, the download is cut
   * and its connection with it; the next one gets a new connection.
   */
  async download (signal: AbortSignal, onData: (chunk: Uint8Array) => void = () => {}): Promise<Download> {
    let size = 0
    let session: Session | null = null
    try {
      const response = await this.#get(signal)
      const socket = response.socket as TLSSocket
      session = { protocol: socket.getProtocol() ?? '', cipher: socket.getCipher().standardName }
      if (response.statusCode !== 200) throw new Error(`the server replies with status ${response.statusCode}`)
      for await (const chunk of response as AsyncIterable<Uint8Array>) {
        size += chunk.length
        onData(chunk)
      }
      return { size, whole: true, session }
    } catch (error) {
      if (signal.aborted && isAbort(error)) return { size, whole: false, session }
      throw error
    }
  }

  /** At once: it holds nothing, and one that hangs would not hear of another signal. */
  stop (): void {
    this.#agent.destroy()
    this.#child.kill('SIGKILL')
  }

  #get (signal: AbortSignal): Promise<IncomingMessage> {
    const { cert } = this.#settings.certificate
    const options = { host: '127.0.0.1', port: this.#port, agent: this.#agent, ca: cert, servername: 'localhost', signal }
    return new Promise((resolve, reject) => { get(options, resolve).once('error', reject) })
  }

  /** One question at a time. */
  #ask (request: Request): Promise<Answer> {
    const child = this.#child
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null, signal: string | null) => { reject(new Error(`the server has ended (${code ?? signal!})`)) }
      child.once('error', reject).once('exit', onExit)
      child.once('message', (answer: Answer) => {
        child.off('error', reject).off('exit', onExit)
        if (answer.type === 'failed') reject(new Error(answer.message))
        else resolve(answer)
      })
      child.send(request)
    })
  }
}

/** Of a request before its head came, and of a response after it. */
function isAbort (error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || ('code' in error && error.code === 'ECONNRESET'))
}
