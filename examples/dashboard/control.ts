import type { Server } from 'node:https'
import type { FastifyInstance } from 'fastify'
import { CLIENTS, Load } from './load'
import { PERIOD, Watch } from './watch'
import type { Mode, Sample } from './watch'

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
  /** Milliseconds until it is the other way's turn, once the load is steady; null: it stays as it is. */
  readonly turnLeft: number | null
}

/** Steady samples of a turn: eight seconds, whatever the handshakes before take. */
const TURN = 32

/** Milliseconds without a page that asks, after which the load ends. Browsers ask once a second for a hidden one. */
const UNWATCHED = 30_000

const otherThan = (mode: Mode): Mode => mode === 'default' ? 'offload' : 'default'

/** What is downloaded all the time, and by which way, as the page chooses. */
export class Control {
  /** Accepted by `change`. */
  readonly choices: readonly Choice[]
  readonly watch: Watch
  readonly #originOf: () => string
  readonly #pathOf: (mode: Mode) => string
  readonly #load = new Load(() => { this.change({ load: false }) })
  readonly #first: Settings
  #settings: Settings
  #mode: Mode
  #begun = false
  /** Samples that are left of a turn; undefined: there are no turns. */
  #turn: number | undefined
  #unwatched: NodeJS.Timeout | undefined

  /** What is downloaded by a way, of which server. */
  constructor (app: FastifyInstance<Server>, originOf: () => string, pathOf: (mode: Mode) => string) {
    const canOffload = app.ktls.support.backends.length > 0
    this.watch = new Watch(app, sample => { this.#follow(sample) })
    this.#originOf = originOf
    this.#pathOf = pathOf
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
      turnLeft: this.#turn === undefined ? null : this.#turn * PERIOD
    }
  }

  change (changes: Partial<Settings>): void {
    this.#begun = true
    this.#settings = { ...this.#settings, ...changes }
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
    clearTimeout(this.#unwatched)
    this.#load.end()
  }

  #takeTurns (mode: Mode): void {
    this.#go(mode)
    this.#turn = TURN
  }

  #follow ({ steady }: Sample): void {
    if (this.#turn === undefined || !steady) return
    this.#turn--
    if (this.#turn === 0) this.#takeTurns(otherThan(this.#mode))
  }

  #go (mode: Mode): void {
    const { load } = this.#settings
    this.#mode = mode
    const path = this.#pathOf(mode)
    this.watch.follow(load ? { mode, path, clients: CLIENTS } : undefined)
    this.#load.download(load ? this.#originOf() + path : null)
  }
}
