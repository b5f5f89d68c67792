/** Where it is shown: stderr. */
export interface Output {
  readonly isTTY?: boolean
  write (text: string): unknown
}

/** Back to the line's beginning, whose rest is erased (ECMA-48, CR and EL). */
const SAME_LINE = '\r\x1b[K'

/** What is being done, and for how long: on a terminal in one line that changes each second, elsewhere a line for each step. */
export class Progress {
  readonly #output: Output
  readonly #seconds: number
  #text = ''
  #timer: NodeJS.Timeout | undefined

  /** Of so many seconds, which began with the process. */
  constructor (output: Output, seconds: number) {
    this.#output = output
    this.#seconds = seconds
  }

  step (text: string): void {
    this.#text = text
    if (this.#output.isTTY === true) {
      this.#timer ??= setInterval(() => { this.#show() }, 1000).unref()
      this.#show()
    } else {
      this.#output.write(`${text}\n`)
    }
  }

  /** Takes the line away. */
  end (): void {
    clearInterval(this.#timer)
    if (this.#timer !== undefined) this.#output.write(SAME_LINE)
    this.#timer = undefined
  }

  #show (): void {
    this.#output.write(`${SAME_LINE}${this.#text} (${Math.floor(performance.now() / 1000)} s of ${this.#seconds} s)`)
  }
}
