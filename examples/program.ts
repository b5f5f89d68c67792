/*
 * What most examples have in common as programs: arguments, `--help`, and an end in one
 * line. A program of one's own needs nothing of it.
 */
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { WrongArguments, parseArguments } from '../lib/doctor/arguments'
import { fail } from '../lib/doctor/fail'

/** What a program can take, besides `--help`. */
type Argument = 'folder' | 'port' | 'socket'

export interface Manual {
  /** What there is to see, in a sentence or a few. */
  readonly shows: string
  readonly takes: readonly Argument[]
}

export interface Arguments {
  /** As it was given. */
  readonly folder: string | undefined
  /** Of 127.0.0.1; 0 for any that is free. */
  readonly port: number
  /** The path of a Unix socket. */
  readonly socket: string
}

type Environment = Readonly<Record<string, string | undefined>>

const SOCKET = join(tmpdir(), 'fastify-ktls-example.sock')

const USAGES: Readonly<Record<Argument, { readonly short: string, readonly line: string }>> = {
  folder: { short: '[FOLDER]', line: 'FOLDER         where the files are (made on first use: files of 1, 10 and 100 MB)' },
  port: { short: '[--port PORT]', line: "--port PORT    the port of 127.0.0.1, 0 for any that is free (8443, or the environment's PORT)" },
  socket: { short: '[--socket PATH]', line: `--socket PATH  the Unix socket to listen at (${SOCKET}, or the environment's SOCKET)` }
}

/** The text of `--help`. */
export function usageOf ({ shows, takes }: Manual, program = relative('', process.argv[1]!)): string {
  return [
    `usage: node ${program} ${takes.map(name => USAGES[name].short).join(' ')}`,
    '',
    shows,
    '',
    ...takes.map(name => `  ${USAGES[name].line}`),
    '  --help         show this',
    ''
  ].join('\n')
}

/** What the command line and the environment say; ends the process after `--help`. Throws `WrongArguments`. */
export function readArguments (manual: Manual, args: readonly string[] = process.argv.slice(2), environment: Environment = process.env): Arguments {
  const { takes } = manual
  const { values, positionals } = parseArguments(args, {
    ...(takes.includes('port') && { port: { type: 'string' } }),
    ...(takes.includes('socket') && { socket: { type: 'string' } }),
    help: { type: 'boolean', short: 'h' }
  })
  if (values.help) {
    process.stdout.write(usageOf(manual))
    process.exit(0)
  }
  const accepted = takes.includes('folder') ? 1 : 0
  if (positionals.length > accepted) throw new WrongArguments(`"${positionals[accepted]!}" is one argument too many`)
  return {
    folder: positionals[0],
    port: takes.includes('port') ? portOf(values.port, environment) : 0,
    socket: values.socket ?? (environment.SOCKET || SOCKET)
  }
}

/** The port of the option `--port`, else of the environment's PORT, else 8443. */
export function portOf (option: string | undefined, environment: Environment): number {
  const [name, text] = option === undefined ? ['PORT', environment.PORT || '8443'] : ['--port', option]
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65535) return port
  throw new WrongArguments(`${name} is "${text}"; accepted is a number from 0 to 65535`)
}

/** Ends the process with one line on stderr that says why. */
export function end (error: unknown): never {
  return fail(error, '--help')
}
