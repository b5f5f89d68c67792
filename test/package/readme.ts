import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../support/node'

export interface Block {
  /** Its file, from the package's folder. */
  readonly page: string
  /** The last heading before it, without the signs. */
  readonly heading: string
  readonly language: string
  readonly code: string
}

/** What users read: README.md, and then the pages of docs/ by name. */
export const PAGES: readonly string[] = ['README.md', ...readdirSync(join(ROOT, 'docs')).sort().map(name => `docs/${name}`)]

/** The fenced blocks of a page, in their order. */
export function blocksOf (page: string): Block[] {
  let heading = ''
  // A block is matched as a whole, so that no comment in it is taken for a heading.
  return [...readFileSync(join(ROOT, page), 'utf8').matchAll(/^#+ ([^\n]+)$|^```(\w*)\n(.*?)^```$/gms)].flatMap(([, title, language, code]) => {
    if (title !== undefined) {
      heading = title
      return []
    }
    return [{ page, heading, language: language!, code: code! }]
  })
}

/** A page without its blocks, in which nothing is a link, a heading or a table. */
export function textOf (page: string): string {
  return readFileSync(join(ROOT, page), 'utf8').replace(/^```.*?^```$/gms, '')
}

/** Of the tables of a page the rows that begin with a name in code signs: that name, and the other cells as they are. */
export function rowsOf (page: string): string[][] {
  return [...textOf(page).matchAll(/^\| `([^`]+)` \| (.*) \|$/gm)].map(([, name, cells]) => [name!, ...cells!.split(' | ')])
}

/** The one block of all pages that has the text. */
export function blockWith (text: string): string {
  const found = PAGES.flatMap(blocksOf).filter(({ code }) => code.includes(text))
  if (found.length !== 1) throw new Error(`${found.length} blocks of README.md and docs/ have "${text}"`)
  return found[0]!.code
}

/** The commands of these blocks for a shell, without their comments. */
export function commandsOf (blocks: readonly Block[]): string[] {
  return blocks.filter(({ language }) => language === 'sh').flatMap(({ code }) => code.trim().split('\n').map(line => line.replace(/ +#.*/, '')))
}

/** A program of blocks for JavaScript: those that add to the quick start's come before it listens. */
export function composeProgram (folder: string): string {
  const additions = ["require('node:diagnostics_channel')", 'collectKtlsMetrics(', "'not offloaded'"].map(blockWith)
  return blockWith('fastify.listen(')
    .replace("path.resolve('files')", () => JSON.stringify(folder))
    .replace('port: 8443', 'port: 0')
    .replace(/^(?=fastify\.listen)/m, () => additions.join(''))
}

/** The README's command for a certificate. */
export const CERTIFICATE = commandsOf(blocksOf('README.md')).find(command => command.startsWith('openssl '))!

/** The README's commands before and after its application is started. */
export const QUICK_START = {
  prepare: ['mkdir -p files && head -c 30000000 /dev/urandom > files/large.bin', CERTIFICATE],
  use: ['curl --cacert cert.pem --output /dev/null https://localhost:8443/large.bin', 'curl --cacert cert.pem https://localhost:8443/stats']
}
