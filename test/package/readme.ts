import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../support/node'

export interface Block {
  readonly language: string
  readonly code: string
}

/** The fenced blocks of README.md, in their order. */
export function readBlocks (): Block[] {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  return [...readme.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language, code]) => ({ language: language!, code: code! }))
}

/** The one block that has the text. */
export function blockWith (text: string): string {
  const found = readBlocks().filter(({ code }) => code.includes(text))
  if (found.length !== 1) throw new Error(`${found.length} blocks of README.md have "${text}"`)
  return found[0]!.code
}

/** The commands of all blocks for a shell, without their comments. */
export function commands (): string[] {
  return readBlocks().filter(({ language }) => language === 'sh').flatMap(({ code }) => code.trim().split('\n').map(line => line.replace(/ +#.*/, '')))
}

/** A program of the README's blocks for JavaScript: those that add to the first one come before it listens. */
export function composeProgram (folder: string): string {
  const events = blockWith("require('node:diagnostics_channel')")
  const metrics = blockWith('collectKtlsMetrics(')
  return blockWith('fastify.listen(')
    .replace("path.resolve('files')", () => JSON.stringify(folder))
    .replace('port: 8443', 'port: 0')
    .replace(/^(?=fastify\.listen)/m, () => `${events}${metrics}`)
}
