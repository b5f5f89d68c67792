import { Load } from './load'
import type { Mode, Watch } from './watch'

/** One way, or each of them in turn. */
export type Choice = Mode | 'turns'

export interface Settings {
  readonly choice: Choice
  /** Whether clients download all the time. */
  readonly load: boolean
}

export interface State extends Settings {
  /** The way that files go now. */
  readonly mode: Mode
  /** Whether somebody has chosen; if not, a page that opens begins with the comparison. */
  readonly begun: boolean
  /** Milliseconds until it is the other way's turn; null: it stays as it is. */
  readonly turnEnds: number | null
}

/** Milliseconds of a turn; those of its samples count that are steady (watch.ts). */
const TURN = 12_000

/** Milliseconds without a page that asks, after which the load ends. Browsers ask once a second for a hidden one. */
const UNWATCHED = 30_000

const otherThan = (mode: Mode): Mode => mode === 'default' ? 'offload' : 'default'

/** What is downloaded all the time, and by which way, as the page chooses. */
export class Control {
  /** Accepted by `change`. */
  readonly choices: readonly Choice[]
  readonly #watch: Watch
  readonly #urlOf: (mode: Mode) => string
  readonly #load = new Load(() => { this.change({ load: false }) })
  readonly #first: Settings
  #settings: Settings
  #mode: Mode
  #begun = false
  #turn: NodeJS.Timeout | undefined
  #turnEnds = 0
  #unwatched: NodeJS.Timeout | undefined

  /** `canOffload`: whether there is another way than Node's. `urlOf` says what is downloaded by a way. */
  constructor (watch: Watch, canOffload: boolean, urlOf: (mode: Mode) => string) {
    this.#watch = watch
    this.#urlOf = urlOf
    this.choices = canOffload ? ['turns', 'default', 'offload'] : ['default']
    this.#first = { choice: this.choices[0]!, load: false }
    this.#settings = this.#first
    this.#mode = canOffload ? 'offload' : 'default'
  }

  get state (): State {
    return {
      ...this.#settings,
      mode: this.#mode,
      begun: this.#begun,
      turnEnds: this.#turn === undefined ? null : this.#turnEnds - performance.now()
    }
  }

  change (changes: Partial<Settings>): void {
    this.#begun = true
    this.#settings = { ...this.#settings, ...changes }
    clearTimeout(this.#turn)
    this.#turn = undefined
    const { choice, load } = this.#settings
    if (choice !== 'turns') this.#go(choice)
    else if (load) this.#takeTurns('default')
    else this.#go(this.#mode)
  }

  /** To be called for each page that asks. */
  watched (): void {
    clearTimeout(this.#unwatched)
    this.#unwatched = setTimeout(() => {
      this.change(this.#first)
      this.#begun = false
    }, UNWATCHED).unref()
  }

  end (): void {
    clearTimeout(this.#turn)
    clearTimeout(this.#unwatched)
    this.#load.end()
  }

  #takeTurns (mode: Mode): void {
    this.#go(mode)
    this.#turnEnds = performance.now() + TURN
    this.#turn = setTimeout(() => { this.#takeTurns(otherThan(mode)) }, TURN).unref()
  }

  #go (mode: Mode): void {
    const { load } = this.#settings
    this.#mode = mode
    this.#watch.mark(load ? mode : 'idle')
    this.#load.download(load ? this.#urlOf(mode) : null)
  }
}
