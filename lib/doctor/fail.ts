import { WrongArguments } from './arguments'
import { messageOf } from './message'

/**
 * Ends the process with one line on stderr that says why: with status 2 where an argument
 * is wrong, of which the line names `help`, the command that says what is accepted; else 1.
 */
export function fail (error: unknown, help: string): never {
  const wrong = error instanceof WrongArguments
  process.stderr.write(`${messageOf(error)}${wrong ? ` (${help} says what is accepted)` : ''}\n`)
  process.exit(wrong ? 2 : 1)
}
