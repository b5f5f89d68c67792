import { WrongArguments, parseArguments } from '../../lib/doctor/arguments'
import { portOf } from '../program'

export const USAGE = `usage: npm start -- [--guest] [--port PORT]

Serves a page with large files, says of each reply who encrypts it, and has a dashboard of
connections and the event loop, with a switch between Fastify's default and the plugin.

  --guest      serve from a small QEMU guest whose kernel has kernel TLS (on Debian, x64)
  --port PORT  the port of 127.0.0.1, 0 for any that is free (8443, or the environment's PORT)
  --help       show this
`

export interface StartOptions {
  readonly guest: boolean
  readonly port: number
  readonly help: boolean
}

/** Throws `WrongArguments`, whose message names the one that is wrong. */
export function parseOptions (args: readonly string[], environment: Readonly<Record<string, string | undefined>>): StartOptions {
  const { values: { guest, port, help }, positionals: [extra] } = parseArguments(args, {
    guest: { type: 'boolean' },
    port: { type: 'string' },
    help: { type: 'boolean', short: 'h' }
  })
  if (extra !== undefined) throw new WrongArguments(`"${extra}" is one argument too many`)
  return { guest, port: portOf(port, environment), help }
}
