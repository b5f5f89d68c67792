import { once } from 'node:events'
import { join } from 'node:path'
import { fail } from '../../lib/doctor/fail'
import { certificateFolder, filesFolder } from './materials'
import { USAGE, parseOptions } from './options'
import type { StartOptions } from './options'
import { serve } from './place'
import type { Serving } from './place'
import { availablePort } from './port'
import { formatReply } from './reports'
import type { Place } from './reports'

/** Milliseconds between two signs of life while the guest starts. */
const SIGN_OF_LIFE = 5000

/** Milliseconds in which all must have ended after a signal. */
const STOP_TIMEOUT = 5000

const HEADLINES: Readonly<Record<Place, (serving: Serving) => string>> = {
  'own-kernel': ({ support }) => `Large files are encrypted by this machine's own kernel, Linux ${support.kernel}.`,
  guest: ({ support }) => `Large files are encrypted by the kernel of the guest, Linux ${support.kernel}.`,
  threads: () => 'Large files are encrypted by sender threads, past the event loop.',
  fallback: () => 'Files are encrypted by Node (OpenSSL), as without the plugin.'
}

async function main (): Promise<number> {
  const options = parseOptions(process.argv.slice(2), process.env)
  if (options.help) {
    process.stdout.write(USAGE)
    return 0
  }
  return start(options, stopSignal())
}

async function start (options: StartOptions, signal: AbortSignal): Promise<number> {
  const began = Date.now()
  const seconds = () => `${Math.round((Date.now() - began) / 1000)} s`
  const life = setInterval(() => { say(`… ${seconds()}`) }, SIGN_OF_LIFE)
  try {
    const port = await availablePort(options.port)
    const certificate = await certificateFolder()
    const serving = await serve({
      port,
      certificate,
      files: await filesFolder(say),
      onReply: report => { say(formatReply(report)) },
      onProgress: say,
      signal
    }, options.guest)
    clearInterval(life)
    const ended = signal.aborted ? Promise.resolve() : once(signal, 'abort')
    welcome(serving, port, certificate, seconds())
    await Promise.race([ended, serving.failed])
    await serving.stop()
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    clearInterval(life)
  }
  return 0
}

function welcome (serving: Serving, port: number, certificate: string, after: string): void {
  // A guest has this machine's addon, so that it helps against a missing kernel TLS only.
  const other = serving.place === 'threads' ? '\nBy the kernel of a guest: npm start -- --guest' : ''
  const address = `https://localhost:${port}`
  say(`
${HEADLINES[serving.place](serving)}
Why: ${serving.why}.${other}

ready after ${after}: ${address}
  browser  ${address} (accept the warning: the certificate is self-made)
  watch it ${address}/dashboard
  curl     curl --cacert ${join(certificate, 'cert.pem')} --output /dev/null ${address}/files/100MB.bin
  the end  Ctrl-C

Each request, with the path of its reply:`)
}

/** Aborted by Ctrl-C and the like; what has not ended some time later (a download, say) is left behind. */
function stopSignal (): AbortSignal {
  const stop = new AbortController()
  const end = () => {
    stop.abort()
    setTimeout(() => {
      process.stderr.write(`not all has ended within ${STOP_TIMEOUT / 1000} s\n`)
      process.exit(1)
    }, STOP_TIMEOUT).unref()
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, end)
  process.stdout.on('error', end)
  return stop.signal
}

function say (line: string): void {
  process.stdout.write(`${line}\n`)
}

main().then(code => { process.exit(code) }, (error: unknown) => { fail(error, 'npm start -- --help') })
