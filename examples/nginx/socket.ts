import { once } from 'node:events'
import { lstat, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { WrongArguments } from '../../lib/doctor/arguments'

/** Removes the socket that a process has left behind that ended abruptly. Throws where something listens at it, or the path is not for a socket. */
export async function clearSocket (path: string): Promise<void> {
  const folder = await lstat(dirname(path)).catch(() => undefined)
  if (folder === undefined) throw new WrongArguments(`the folder ${dirname(path)} of the socket is not there`)
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) throw new WrongArguments(`${path} is there, and is not a socket`)
  if (await answers(path)) throw new Error(`the socket ${path} is in use: end what listens there, or choose another with --socket`)
  await rm(path, { force: true })
}

async function answers (path: string): Promise<boolean> {
  const client = connect(path)
  try {
    await once(client, 'connect')
    return true
  } catch (error) {
    // Others, as EAGAIN, come where something listens.
    return !['ECONNREFUSED', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')
  } finally {
    client.destroy()
  }
}
