#!/usr/bin/env node
import { bench } from './bench/bench'
import { Progress } from './bench/progress'
import { formatComparison } from './bench/table'
import { MARGIN, Time } from './bench/time'
import { gatherFacts } from './facts'
import { fail } from './fail'
import { examine } from './findings'
import { USAGE, parseOptions } from './options'
import type { Options } from './options'
import { formatReport, reportOf } from './report'
import { VERSION } from './version'

/** Exit status: what was asked for is there; nothing can be offloaded. What fails has one of its own (fail.ts). */
const [AVAILABLE, UNAVAILABLE] = [0, 1]

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
  const time = new Time(seconds)
  const progress = new Progress(process.stderr, seconds)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => {
      progress.end()
      // All ends by the handlers of 'exit', which remove the file and the servers.
      process.exit(UNAVAILABLE)
    })
  }
  const late = new Promise<never>((_resolve, reject) => {
    setTimeout(() => { reject(new Error(`not all had ended after ${seconds} s; give it more by --seconds`)) }, time.left + MARGIN)
  })
  const comparison = await Promise.race([bench(file, support, time, progress), late]).finally(() => { progress.end() })
  print(json ? toJson(comparison) : formatComparison(comparison))
  return AVAILABLE
}

function toJson (document: object): string {
  return JSON.stringify(document, undefined, 2)
}

function print (text: string): void {
  process.stdout.write(`${text}\n`)
}

main().then(code => { process.exit(code) }, (error: unknown) => { fail(error, 'npx fastify-ktls --help') })
