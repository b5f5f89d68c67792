import { execFile } from 'node:child_process'

/** Runs a host program to its end; an error carries what the program wrote to stderr. */
export function run (file: string, args: readonly string[], options: { cwd?: string, env?: NodeJS.ProcessEnv } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(file, args, { ...options, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      const missing = 'code' in error && (error.code as unknown) === 'ENOENT'
      const detail = missing ? `${file} is not installed on this machine` : stderr.trim() || stdout.trim().slice(-8000) || error.message
      reject(new Error(`${[file, ...args].join(' ')}: ${detail}`, { cause: error }))
    })
  })
}
