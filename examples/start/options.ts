import { parseArgs } from 'node:util'

export const USAGE = `usage: npm start -- [options]
  --guest      serve from a small QEMU guest whose kernel has kernel TLS (on Debian, x64)
  --port PORT  the port of 127.0.0.1 to listen on, 0 for any that is free (8443, or the environment's PORT)
  --help       show this
`

export interface StartOptions {
  readonly guest: boolean
  readonly port: number
  readonly help: boolean
}

/** Throws an error whose message names the argument that is wrong. */
export function parseOptions (args: readonly string[], environment: Readonly<Record<string, string | undefined>>): StartOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      guest: { type: 'boolean', default: false },
      port: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  const port = values.port === undefined
    ? parsePort('PORT', environment.PORT || '8443')
    : parsePort('--port', values.port)
  return { guest: values.guest, port, help: values.help }
}

function parsePort (name: string, text: string): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65535) return port
  throw new Error(`${name} is "${text}"; accepted is a number from 0 to 65535`)
}
