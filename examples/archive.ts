import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import fastify from 'fastify'
import fastifyKtls from 'fastify-ktls'
import { ZipFile } from 'yazl'
import { serve } from './serve'
import type { ExampleOptions } from './serve'

/**
 * The files of a folder as one zip, in two ways. What `/stream.zip` sends is made while it is sent, so Node encrypts it, chunk
 * by chunk. The first request for `/archive.zip` has it made as a file, which then goes as files do, to each client that asks.
 */
export async function createApp ({ https, root }: ExampleOptions) {
  const app = fastify({ https })
  await app.register(fastifyKtls)
  const own = await mkdtemp(join(tmpdir(), 'archive-'))
  app.addHook('onClose', () => rm(own, { recursive: true }))
  const path = join(own, 'archive.zip')
  let made: Promise<void> | undefined

  app.get('/archive.zip', async (_request, reply) => {
    made ??= zipOf(root).then(zip => pipeline(zip, createWriteStream(path)))
    try {
      await made
    } catch (error) {
      // The next request tries again.
      made = undefined
      throw error
    }
    return reply.type('application/zip').send(createReadStream(path))
  })
  app.get('/stream.zip', async (_request, reply) => reply.type('application/zip').send(await zipOf(root)))
  return app
}

async function zipOf (root: string): Promise<Readable> {
  const zip = new ZipFile()
  for (const entry of await readdir(root, { withFileTypes: true })) {
    if (entry.isFile()) zip.addFile(join(root, entry.name), entry.name)
  }
  zip.end()
  const stream = zip.outputStream as Readable
  // Of a file that is gone meanwhile, for one.
  zip.once('error', (error: Error) => stream.destroy(error))
  return stream
}

const SHOWS = `The files of a folder as one zip: /archive.zip is made once, as a file, and goes past the event
loop to each client; /stream.zip is made anew for each, and goes by Node.`

if (require.main === module) serve(createApp, SHOWS)
