import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'

/** How many download at once. */
export const CLIENTS = 8

/** What the child process is told: what to download, or nothing. */
export interface Order {
  readonly url: string | null
  readonly clients: number
}

/** Clients that download a file again and again, in a process of their own: only the server's work is in its event loop. */
export class Load {
  readonly #onDeath: () => void
  #child: ChildProcess | undefined

  /** `onDeath` is called when the process ends by itself, and the downloads with it. */
  constructor (onDeath: () => void) {
    this.#onDeath = onDeath
  }

  /** Each download is under way on a connection of its own; those of an earlier URL end. */
  download (url: string | null): void {
    if (url === null && this.#child === undefined) return
    this.#child ??= this.#start()
    this.#child.send({ url, clients: CLIENTS } satisfies Order)
  }

  #start (): ChildProcess {
    const child = fork(require.resolve('./load-clients'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    // If it dies, the next order has another one started.
    const gone = () => {
      if (this.#child !== child) return
      this.#child = undefined
      this.#onDeath()
    }
    return child.once('disconnect', gone).once('exit', gone).on('error', gone)
  }

  end (): void {
    this.#child?.disconnect()
    this.#child = undefined
  }
}
