import { execFile } from 'node:child_process'
import { setTimeout } from 'node:timers/promises'

/** A mirror that has just failed gets so many milliseconds. */
const PAUSE = 3000
const ATTEMPTS = 3
/** How many characters of a failed program's output an error carries. */
const MOST_OUTPUT = 8000

/** Runs a host program to its end; an error carries what the program wrote to stderr. */
export function run (file: string, args: readonly string[], options: { cwd?: string, env?: NodeJS.ProcessEnv, timeout?: number } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(file, args, { ...options, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      const missing = 'code' in error && (error.code as unknown) === 'ENOENT'
      const detail = missing ? `${file} is not installed on this machine` : stderr.trim() || tellingPart(stdout.trim()) || error.message
      reject(new Error(`${[file, ...args].join(' ')}: ${detail}`, { cause: error }))
    })
  })
}

/** Of a test's output what begins with its first failure, of any other the end. */
function tellingPart (output: string): string {
  const failure = output.search(/^ *not ok /m)
  return failure === -1 ? output.slice(-MOST_OUTPUT) : output.slice(failure, failure + MOST_OUTPUT)
}

/** The same for one that downloads: a network that fails for a moment is no reason to give up. */
export async function runDownload (file: string, args: readonly string[], options: { cwd?: string } = {}): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run(file, args, options)
    } catch (error) {
      if (attempt === ATTEMPTS) throw error
      await setTimeout(PAUSE)
    }
  }
}
