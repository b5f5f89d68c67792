/*
 * A child process (child.ts): a server with or without the plugin, which tells
 * its parent its port and what goes wrong, and has few descriptors when asked.
 */
import '../double/install'
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs'
import Fastify from 'fastify'
import { certificate } from '../certificate'
import { closings } from './accounts'
import { ONLY, SECURE, statsOf } from './backend'
import type { BackendStats } from './backend'
import { openCount } from './files'
import { ktls } from './plugin'
import { until } from './wait'

export interface ChildServer {
  readonly plugin: boolean
  /** The file to serve. */
  readonly path: string
}

export interface Uncaught {
  readonly uncaught: string
  /** How many connections the backend had. */
  readonly promoted: number
}

/** A message to the child: it shall have so many descriptors left when so many connections are open. */
export interface Leave {
  readonly left: number
  readonly open: number
}

/** The answer. */
export interface Left {
  /** How many were left before. */
  readonly free: number
  readonly stats: BackendStats
}

/** More than the buffers of a connection hold. */
const LARGE = Buffer.alloc(32 << 20, 'large')

const CHUNK = Buffer.alloc(16_000, 'chunk')

function tellClosings (): void {
  writeSync(1, JSON.stringify(closings()))
}

async function serve ({ plugin, path }: ChildServer): Promise<void> {
  const app = Fastify(SECURE ? { https: await certificate() } : {} as object)
  if (plugin) await app.register(ktls, ONLY)
  app.get('/file', (_request, reply) => reply.send(createReadStream(path)))
  app.get('/exit', (_request, reply) => {
    reply.raw.once('finish', () => {
      // After the plugin's own listener.
      process.once('exit', tellClosings)
      process.exit()
    })
    return reply.send(createReadStream(path))
  })
  app.get('/linger', (request, reply) => {
    reply.hijack()
    const { socket } = request.raw
    while (socket.writableLength === 0) socket.write(CHUNK)
    socket.destroy()
    // What is left holds the loop until it may be given up.
    process.once('exit', tellClosings)
    process.removeAllListeners('disconnect')
    app.close().then(() => process.disconnect())
  })
  app.get('/close', (_request, reply) => {
    reply.raw.once('close', () => {
      process.removeAllListeners('disconnect')
      process.disconnect()
      app.close()
    })
    return reply.header('connection', 'close').send('')
  })
  app.get('/throws', (_request, reply) => {
    reply.hijack()
    reply.raw.setHeader('content-length', LARGE.length)
    reply.raw.write(LARGE, () => { throw new Error('thrown by a callback') })
    reply.raw.end()
  })
  process.on('uncaughtException', ({ message }) => {
    process.send!({ uncaught: message, promoted: plugin ? statsOf(app).connections.promoted : 0 } satisfies Uncaught)
  })
  const held: number[] = []
  process.on('message', ({ left, open }: Leave) => {
    // One for looking at what is open.
    const spare = held.pop()
    if (spare !== undefined) closeSync(spare)
    const before = held.length
    until(() => statsOf(app).connections.open === open && openCount(path) === 0).then(() => {
      takeAll(held)
      const free = held.length - before - (spare === undefined ? 0 : 1)
      for (const fd of held.splice(0, left)) closeSync(fd)
      process.send!({ free, stats: statsOf(app) } satisfies Left)
    })
  })
  process.send!(await app.listen({ port: 0, host: '127.0.0.1' }))
}

/** All descriptors that the process may still have. */
function takeAll (held: number[]): void {
  try {
    for (;;) held.push(openSync('/dev/null', 'r'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error
  }
}

// The parent is gone, and with it whom to tell.
process.once('disconnect', () => process.exit())
serve(JSON.parse(process.argv[2]!) as ChildServer)
