/*
 * The frame around most examples, which borrows from start/ and test/ in this
 * repository: a program of one's own needs only an example's createApp.
 */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { FastifyKtls, Support } from 'fastify-ktls'
import { certificateFolder, filesFolder } from './start/materials'
import { parseOptions } from './start/options'

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

/** A certificate for localhost, and the folder that the command line names, else one with files of 1, 10 and 100 MB. */
export async function exampleOptions (): Promise<ExampleOptions> {
  const folder = await certificateFolder()
  return {
    https: { key: await readFile(join(folder, 'key.pem')), cert: await readFile(join(folder, 'cert.pem')) },
    root: process.argv[2] === undefined ? await filesFolder(console.log) : resolve(process.argv[2])
  }
}

/** Serves an example from this machine, on the port that the environment's PORT names, until Ctrl-C. Resolves to its origin. */
export async function serve (create: (options: ExampleOptions) => Promise<Example>): Promise<string> {
  const app = await create(await exampleOptions())
  const origin = await app.listen({ host: '127.0.0.1', port: parseOptions([], process.env).port })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close().then(() => process.exit()))
  console.log(whoEncrypts(app.ktls.support))
  console.log(`ready at ${origin}`)
  return origin
}

function whoEncrypts ({ available, backends, kernel, detail }: Support): string {
  if (available) return `Linux ${kernel} encrypts large files.`
  return `${backends.includes('threads') ? 'Sender threads encrypt large files' : 'Node encrypts all'}: ${detail} (npx fastify-ktls says more).`
}
