/*
 * Starts app.js of the working directory, as the README says, and when it listens
 * has a shell run each command that it is given. Prints what they print.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { run } from '../vm/run'

async function main (commands: readonly string[]): Promise<void> {
  const app = spawn(process.execPath, ['app.js'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(app, 'exit')
  try {
    for await (const line of createInterface(app.stdout)) if (line.includes('Server listening')) break
    for (const command of commands) process.stdout.write(await run('sh', ['-c', command]))
  } finally {
    app.kill()
    await ended
  }
}

main(process.argv.slice(2))
