import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export const PROGRAM = join(__dirname, '../../examples/start/start.js')

/** The program behind `npm start`, or another one, run as a user's shell runs it: in a process group of its own. */
export class StartChild {
  /** What it has written to stdout so far. */
  readonly lines: string[] = []
  #errors = ''
  #over = false
  readonly #child
  readonly #exited: Promise<number | NodeJS.Signals>
  readonly #waiting = new Set<() => void>()

  constructor (t: Tap.Test, args: readonly string[], environment: Readonly<Record<string, string>> = {}, program: readonly string[] = [PROGRAM], node = process.execPath) {
    this.#child = spawn(node, [...program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, ...environment }
    })
    createInterface({ input: this.#child.stdout }).on('line', line => {
      this.lines.push(line)
      this.#wake()
    })
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => { this.#errors += text })
    this.#exited = once(this.#child, 'close').then(([code, signal]: Array<number | NodeJS.Signals | null>) => {
      this.#over = true
      this.#wake()
      return code ?? signal ?? -1
    })
    t.teardown(() => {
      if (!this.#over) this.signalGroup('SIGKILL')
    })
  }

  /** The first line that matches, when it comes; rejects if the program ends without it. */
  async line (pattern: RegExp): Promise<string> {
    for (;;) {
      const found = this.lines.find(line => pattern.test(line))
      if (found !== undefined) return found
      if (this.#over) throw new Error(`ended without a line like ${String(pattern)}:\n${this.lines.join('\n')}\n${this.#errors}`)
      await new Promise<void>(resolve => { this.#waiting.add(resolve) })
    }
  }

  /** The address in the line that says that it serves. */
  async ready (): Promise<string> {
    return (await this.line(/^ready /)).replace(/^.* /, '')
  }

  /** The certificate that the suggested curl command trusts. */
  get certificate (): string {
    const match = /--cacert (\S+)/.exec(this.lines.join('\n'))
    return match![1]!
  }

  get pid (): number {
    return this.#child.pid!
  }

  /** As Ctrl-C does: to the program and all that it has started. */
  signalGroup (signal: NodeJS.Signals): void {
    process.kill(-this.#child.pid!, signal)
  }

  signal (signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** The exit code, or the signal that ended it, and what it wrote to stderr. */
  async end (): Promise<{ readonly code: number | NodeJS.Signals, readonly errors: string }> {
    return { code: await this.#exited, errors: this.#errors }
  }

  #wake (): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}
