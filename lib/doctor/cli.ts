#!/usr/bin/env node
import { WrongArguments } from './arguments'
import { bench } from './bench/bench'
import { Progress } from './bench/progress'
import { formatComparison } from './bench/table'
import { MARGIN, Time } from './bench/time'
import { gatherFacts } from './facts'
import { examine } from './findings'
import { messageOf } from './message'
import { USAGE, parseOptions } from './options'
import type { Options } from './options'
import { formatReport, reportOf } from './report'
import { VERSION } from './version'

/** Exit status: what was asked for is there; nothing can be offloaded, or something failed; an argument is wrong. */
const [AVAILABLE, UNAVAILABLE, WRONG_ARGUMENTS] = [0, 1, 2]

async function main (): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  switch (options.command) {
    case 'help':
      process.stdout.write(USAGE)
      return AVAILABLE
    case 'version':
      process.stdout.write(`${VERSION}\n`)
      return AVAILABLE
    case 'check': return check(options.json)
    case 'bench': return runBench(options)
  }
}

function check (json: boolean): number {
  const facts = gatherFacts()
  const findings = examine(facts)
  print(json ? toJson(reportOf(facts, findings)) : formatReport(findings, facts.support))
  return facts.support.backends.length > 0 ? AVAILABLE : UNAVAILABLE
}

async function runBench ({ file, seconds, json }: Extract<Options, { command: 'bench' }>): Promise<number> {
  const { support } = gatherFacts()
  if (support.backends.length === 0) throw new Error(`nothing to compare: file replies go the ordinary way here (${support.detail!})`)
  // All ends by the handlers of 'exit', which remove the file and the servers.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(UNAVAILABLE))
  const time = new Time(seconds)
  const progress = new Progress(process.stderr, seconds)
  const late = new Promise<never>((_resolve, reject) => {
    setTimeout(() => { reject(new Error(`not all had ended after ${seconds} s; give it more by --seconds`)) }, time.left + MARGIN)
  })
  try {
    const comparison = await Promise.race([bench(file, support, time, progress), late])
    progress.end()
    print(json ? toJson(comparison) : formatComparison(comparison))
    return AVAILABLE
  } finally {
    progress.end()
  }
}

function toJson (document: object): string {
  return JSON.stringify(document, undefined, 2)
}

function print (text: string): void {
  process.stdout.write(`${text}\n`)
}

/** One line, and the end. */
function fail (error: unknown): never {
  const wrong = error instanceof WrongArguments
  process.stderr.write(`fastify-ktls: ${messageOf(error)}${wrong ? ' (npx fastify-ktls --help says what is accepted)' : ''}\n`)
  process.exit(wrong ? WRONG_ARGUMENTS : UNAVAILABLE)
}

main().then(code => { process.exit(code) }, fail)
