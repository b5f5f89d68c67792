import { WrongArguments, parseArguments } from './arguments'
import { SMALLEST } from './bench/file'
import { MARGIN } from './bench/time'

export const USAGE = `usage: npx fastify-ktls [--json]
         says what this machine can do; where it cannot, why, and what helps

       npx fastify-ktls bench [FILE] [--seconds N] [--json]
         downloads FILE over HTTPS on the loopback interface, in turns from Fastify as it
         is, by kernel TLS and by sender threads, and compares throughput and processor
         time; says on stderr how far it is

  FILE         what is downloaded, of ${SMALLEST / 1e6} MB or more; by default 100 MB that are made in
               the working directory and removed at the end
  --seconds N  the time for all of it, the start of the servers included (10); it has
               ended at most ${MARGIN / 1000} seconds later
  --json       one JSON document on stdout, and nothing else there
  --version    show the version of fastify-ktls
  --help       show this

exit status: 0 where file replies can be offloaded, by the kernel or by sender threads;
1 where they cannot, and where bench fails; 2 where an argument is wrong, or FILE
cannot be measured with
`

/** Less does not start the servers, and longer tells nothing more. Seconds. */
const [MIN_SECONDS, MAX_SECONDS] = [2, 3600]

export type Options =
  | { readonly command: 'help' | 'version' }
  | { readonly command: 'check', readonly json: boolean }
  | { readonly command: 'bench', readonly file: string | undefined, readonly seconds: number, readonly json: boolean }

/** Throws `WrongArguments`, whose message names the one that is wrong. */
export function parseOptions (args: readonly string[]): Options {
  const { values: { help, version, json, seconds }, positionals: [command, file, ...rest] } = parseArguments(args, {
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'v' },
    json: { type: 'boolean' },
    seconds: { type: 'string' }
  })
  if (help) return { command: 'help' }
  if (version) return { command: 'version' }
  if (command === undefined) {
    if (seconds !== undefined) throw new WrongArguments('--seconds is for the command "bench"')
    return { command: 'check', json }
  }
  if (command !== 'bench') throw new WrongArguments(`the command is "${command}"; accepted is "bench", or none`)
  if (rest.length > 0) throw new WrongArguments(`one file is accepted, not also "${rest.join(' ')}"`)
  return { command, file, seconds: parseSeconds(seconds ?? '10'), json }
}

function parseSeconds (text: string): number {
  const seconds = Number(text)
  if (seconds >= MIN_SECONDS && seconds <= MAX_SECONDS) return seconds
  throw new WrongArguments(`--seconds is "${text}"; accepted is a number from ${MIN_SECONDS} to ${MAX_SECONDS}`)
}
