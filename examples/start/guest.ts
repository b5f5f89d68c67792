import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import type { Support } from 'fastify-ktls'
import { cacheFolder } from '../../test/vm/cache'
import { runInGuest } from '../../test/vm/guest'
import type { Guest } from '../../test/vm/guest'
import type { ServeOptions, Serving } from './place'
import type { GuestMessage } from './reports'

const GUEST_PORT = 8443

/** Milliseconds, downloads included, after which a guest that does not serve is given up. */
const START_TIMEOUT = 15 * 60 * 1000

/** The longest that a timer of Node's takes, 24 days in milliseconds. */
const FOREVER = 2 ** 31 - 1

/** Ctrl-C ends QEMU too, which may be seen before this process hears of the signal. Milliseconds. */
const SIGNAL_DELAY = 200

/** Serves from a guest whose kernel has kernel TLS, forwarded to 127.0.0.1. Rejects if none can be had. */
export async function serveInGuest (options: ServeOptions): Promise<Serving> {
  refuseInvisible([__dirname, process.execPath, options.certificate, options.files])
  options.onProgress('a guest is started whose kernel has kernel TLS: a small Linux under QEMU. ' +
    `On first use it is fetched from Debian (some 150 MB) and kept in ${cacheFolder()}`)
  const guest = runInGuest({
    kernel: '6.12',
    command: [process.execPath, join(__dirname, 'guest-server.js'), options.certificate, options.files, String(GUEST_PORT)],
    cwd: __dirname,
    forward: [{ host: options.port, guest: GUEST_PORT }],
    memory: 1024,
    timeout: FOREVER,
    onProgress: options.onProgress
  })
  guest.stderr.pipe(process.stderr)
  const failed = failure(guest)
  try {
    const support = await Promise.race([listening(guest, options), failed, startTimeout(options.signal)])
    if (!support.available) throw new Error(`its kernel cannot do it: ${support.detail ?? 'reason unknown'}`)
    return { place: 'guest', why: 'a guest was wanted (--guest)', support, failed, stop: () => stop(guest) }
  } catch (error) {
    await stop(guest)
    throw error
  }
}

/** The guest has a file system of its own there. */
function refuseInvisible (paths: readonly string[]): void {
  const invisible = paths.find(path => /^\/run\//.test(path))
  if (invisible === undefined) return
  throw new Error(`the guest does not see this machine's /run, where ${invisible} is; move it elsewhere`)
}

/** Passes on what the guest's server tells; resolves when it listens. */
function listening (guest: Guest, { onProgress, onReply }: ServeOptions): Promise<Support> {
  return new Promise(resolve => {
    createInterface({ input: guest.stdout }).on('line', line => {
      const message = JSON.parse(line) as GuestMessage
      if (message.type === 'progress') onProgress(message.text)
      else if (message.type === 'reply') onReply(message.report)
      else resolve(message.support)
    })
  })
}

function failure (guest: Guest): Promise<never> {
  const failed = guest.exited.then(async code => {
    await setTimeout(SIGNAL_DELAY)
    throw new Error(`the server in the guest ended with exit code ${code}`)
  }, async (error: unknown) => {
    await setTimeout(SIGNAL_DELAY)
    throw error
  })
  failed.catch(() => {}) // nobody listens after stop()
  return failed
}

async function startTimeout (signal: AbortSignal): Promise<never> {
  await setTimeout(START_TIMEOUT, undefined, { signal, ref: false })
  throw new Error(`it did not serve within ${START_TIMEOUT / 60_000} minutes`)
}

async function stop (guest: Guest): Promise<void> {
  guest.kill()
  await guest.exited.catch(() => {})
}
