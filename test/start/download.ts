import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What curl gets, with the example's own certificate as the only authority. */
export async function fetchBytes (url: string, certificate: string): Promise<Buffer> {
  const { stdout } = await run('curl', ['--silent', '--show-error', '--fail', '--noproxy', '*', '--cacert', certificate, url], {
    encoding: 'buffer',
    maxBuffer: 256 * 1024 * 1024
  })
  return stdout
}

/** SHA-256 by name, as in a `SHA256SUMS` file. */
export function parseSums (text: string): ReadonlyMap<string, string> {
  return new Map(text.trimEnd().split('\n').map(line => {
    const [sum = '', name = ''] = line.split('  ')
    return [name, sum] as const
  }))
}
