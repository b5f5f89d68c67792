import { parseArgs } from 'node:util'

export const USAGE = `usage: npx fastify-ktls
         says what this machine can do; where it cannot, why, and what helps;
         exit code 0 where file replies can be offloaded, by the kernel or by
         sender threads, 1 where they cannot, 2 where the arguments are wrong

       npx fastify-ktls bench [FILE] [--seconds N]
         downloads FILE (by default 100 MB made in the working directory) over HTTPS on the
         loopback interface, alternately from plain Fastify and with the plugin, N
         seconds in all (10), and shows throughput and processor time of both

       npx fastify-ktls --help
`

/** Longer tells nothing more. Seconds. */
const MAX_SECONDS = 3600

export type Options =
  | { readonly command: 'help' | 'check' }
  | { readonly command: 'bench', readonly file: string | undefined, readonly seconds: number }

/** Throws an error whose message names the argument that is wrong. */
export function parseOptions (args: readonly string[]): Options {
  const { values, positionals: [command, file, ...rest] } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      seconds: { type: 'string' }
    }
  })
  if (values.help) return { command: 'help' }
  if (command === undefined && values.seconds === undefined) return { command: 'check' }
  if (command !== 'bench') throw new Error(`the command is "${command ?? ''}"; accepted is "bench", or none`)
  if (rest.length > 0) throw new Error(`too many arguments: one file is accepted, not also "${rest.join(' ')}"`)
  return { command, file, seconds: parseSeconds(values.seconds ?? '10') }
}

function parseSeconds (text: string): number {
  const seconds = Number(text)
  if (seconds > 0 && seconds <= MAX_SECONDS) return seconds
  throw new Error(`--seconds is "${text}"; accepted is a number above 0, up to ${MAX_SECONDS}`)
}
