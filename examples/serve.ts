/*
 * The frame around most examples, which borrows from start/ and test/ in this
 * repository: a program of one's own needs only an example's createApp.
 */
import { readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { FastifyKtls, Support } from 'fastify-ktls'
import { WrongArguments } from '../lib/doctor/arguments'
import { end, readArguments } from './program'
import { certificateFolder, filesFolder } from './start/materials'
import { explainListening } from './start/port'

export interface ExampleOptions {
  readonly https: { readonly key: Buffer | string, readonly cert: Buffer | string }
  /** The folder of the files that are served. */
  readonly root: string
}

interface Example {
  readonly ktls: FastifyKtls
  listen (where: { host: string, port: number }): Promise<string>
  close (): PromiseLike<unknown>
}

/** A certificate for localhost, and the folder that was given, else one with files of 1, 10 and 100 MB. */
export async function exampleOptions (given: string | undefined): Promise<ExampleOptions> {
  const root = given === undefined ? undefined : await existingFolder(given)
  const folder = await certificateFolder()
  return {
    https: { key: await readFile(join(folder, 'key.pem')), cert: await readFile(join(folder, 'cert.pem')) },
    root: root ?? await filesFolder(console.log)
  }
}

async function existingFolder (given: string): Promise<string> {
  const found = await stat(given).catch(() => undefined)
  if (found === undefined) throw new WrongArguments(`the folder ${given} is not there`)
  if (!found.isDirectory()) throw new WrongArguments(`${given} is not a folder`)
  return resolve(given)
}

/**
 * Serves an example from this machine until Ctrl-C, and resolves to its origin. `shows` is
 * for `--help`. `makeFolder` makes a folder of the example's own, which then takes none.
 * What fails ends the process (program.ts).
 */
export async function serve (create: (options: ExampleOptions) => Promise<Example>, shows: string, makeFolder?: () => Promise<string>): Promise<string> {
  try {
    const { folder, port } = readArguments({ shows, takes: makeFolder === undefined ? ['folder', 'port'] : ['port'] })
    const app = await create(await exampleOptions(folder ?? await makeFolder?.()))
    const origin = await app.listen({ host: '127.0.0.1', port }).catch((error: unknown) => { throw explainListening(port, error) })
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close().then(() => process.exit()))
    console.log(whoEncrypts(app.ktls.support))
    console.log(`ready at ${origin}`)
    return origin
  } catch (error) {
    return end(error)
  }
}

function whoEncrypts ({ available, backends, kernel, detail }: Support): string {
  if (available) return `Linux ${kernel} encrypts large files.`
  return `${backends.includes('threads') ? 'Sender threads encrypt large files' : 'Node encrypts all'}: ${detail} (npx fastify-ktls says more).`
}
