#!/usr/bin/env node
import { temporaryFile } from './bench/file'
import { compare } from './bench/compare'
import { formatComparison } from './bench/figures'
import { gatherFacts } from './facts'
import { examine } from './findings'
import { USAGE, parseOptions } from './options'
import type { Options } from './options'
import { formatReport } from './report'

/** Exit codes: what was asked for is there; nothing can be offloaded; the arguments are wrong. */
const [AVAILABLE, UNAVAILABLE, WRONG_ARGUMENTS] = [0, 1, 2]

async function main (): Promise<number> {
  let options: Options
  try {
    options = parseOptions(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${USAGE}`)
    return WRONG_ARGUMENTS
  }
  if (options.command === 'help') {
    process.stdout.write(USAGE)
    return AVAILABLE
  }
  return options.command === 'bench' ? bench(options.file, options.seconds) : check()
}

function check (): number {
  const facts = gatherFacts()
  process.stdout.write(`${formatReport(examine(facts), facts.support)}\n`)
  return facts.support.backends.length > 0 ? AVAILABLE : UNAVAILABLE
}

async function bench (given: string | undefined, seconds: number): Promise<number> {
  const { support } = gatherFacts()
  if (support.backends.length === 0) {
    process.stdout.write(`Nothing to compare: file replies go the ordinary way here (${support.detail!}).\n`)
    return UNAVAILABLE
  }
  // Ends by the handlers of 'exit', which remove the file and the servers.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(UNAVAILABLE))
  const comparison = await compare(given ?? temporaryFile(), seconds)
  process.stdout.write(`${formatComparison(comparison)}\n`)
  return AVAILABLE
}

function messageOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

main().then(code => { process.exit(code) }, (error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`)
  process.exit(UNAVAILABLE)
})
