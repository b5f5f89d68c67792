import { execFile } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sha256 } from './files'

const run = promisify(execFile)

/** Bound on one curl call, in milliseconds: generous, for emulated processors. */
const TIMEOUT = 900_000

export interface Download {
  readonly status: number
  readonly size: number
  readonly sha256: string
  /** Connections that were opened for it: 0 when one was reused. */
  readonly connects: number
}

/** Downloads the URLs one after the other with one curl, on one connection where it can; `last` are options of the last one's. */
export async function curl (folder: string, urls: readonly string[], args: readonly string[] = [], { last = [] }: { last?: readonly string[] } = {}): Promise<Download[]> {
  const outputs = urls.map((_url, index) => join(folder, `curl-${index}`))
  const common = ['--silent', '--show-error', '--insecure', '--http1.1', ...args, '--write-out', '%{http_code} %{num_connects}\\n']
  const { stdout } = await run('curl', urls.flatMap((url, index) => [
    ...(index === 0 ? [] : ['--next']), ...common, ...(index === urls.length - 1 ? last : []), '--output', outputs[index]!, url
  ]), { timeout: TIMEOUT })
  const lines = stdout.trim().split('\n')
  return outputs.map((path, index) => {
    const [status, connects] = lines[index]!.split(' ').map(Number)
    // curl makes no file for an empty body.
    const body = readOr(path)
    rmSync(path, { force: true })
    return { status: status!, size: body.length, sha256: sha256(body), connects: connects! }
  })
}

function readOr (path: string): Buffer {
  try {
    return readFileSync(path)
  } catch {
    return Buffer.alloc(0)
  }
}
