import { createReadStream } from 'node:fs'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t from 'tap'
import { open, readReply, send } from '../support/client'
import type { RawClient, Reply } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { Random } from '../support/random'
import type { ServerOptions } from '../support/server'
import { serveFolder } from '../support/static'

/** Below and above `minSize`. */
const SIZES = [3000, 100_000]

const HEADS = 60

interface Head {
  readonly method: string
  readonly requestHeaders: readonly string[]
  readonly size: number
  readonly status: number
  readonly reason: string | undefined
  readonly headers: ReadonlyArray<readonly [string, string | string[]]>
  readonly sendDate: boolean
  /** Whether the Content-Length comes before the other headers, which Node then encodes otherwise. */
  readonly lengthFirst: boolean
  /** Past Fastify, on Node's response. */
  readonly raw: boolean
}

const NAMES = ['X-Some', 'x-other', 'Content-Disposition', 'content-disposition', 'ETag', 'Link', 'X.%dots', 'Keep-Alive', 'Content-Type', 'Vary']

/** What Node accepts in a value: a tab, and all of ISO 8859-1 but the control characters. */
function value (random: Random): string {
  const bytes = Array.from({ length: random.below(40) }, () => random.pick([0x09, 0x20 + random.below(0x5f), 0x80 + random.below(0x80)]))
  // The "ByteString" habit: a text in UTF-8, its bytes taken for characters.
  return random.below(4) === 0 ? Buffer.from('日本 Müller.bin').toString('latin1') : String.fromCharCode(...bytes)
}

function randomHead (random: Random): Head {
  const size = random.pick(SIZES)
  const ranged = random.below(4) === 0
  return {
    method: random.below(4) === 0 ? 'HEAD' : 'GET',
    requestHeaders: [...(ranged ? [`Range: bytes=${random.below(100)}-${size - 1 - random.below(100)}`] : []), ...random.pick([[], ['Connection: close'], ['Connection: keep-alive']])],
    size,
    status: random.pick([200, 200, 206, 404, 500, 299]),
    reason: random.below(3) === 0 ? value(random) : undefined,
    headers: Array.from({ length: random.below(5) }, () => [random.pick(NAMES), random.below(4) === 0 ? [value(random), value(random)] : value(random)] as const)
      .concat(random.below(3) === 0 ? [['Set-Cookie', [`a=${value(random)}`, 'b=2; Secure']]] : []),
    sendDate: random.below(4) !== 0,
    lengthFirst: random.below(2) === 0,
    raw: random.below(3) === 0
  }
}

function apply ({ size, status, reason, headers, sendDate, lengthFirst, raw }: Head, reply: FastifyReply): void {
  const length = ['Content-Length', String(size)] as const
  // Node writes buffers into an array of Content-Dispositions.
  for (const [name, value] of structuredClone(lengthFirst ? [length, ...headers] : [...headers, length])) {
    if (raw) reply.raw.setHeader(name, value)
    else reply.header(name, value)
  }
  reply.code(status)
  if (reason !== undefined) reply.raw.statusMessage = reason
  reply.raw.sendDate = sendDate
}

/** Routes that reply with a head of the list, by a stream and by @fastify/static. */
function routes (app: FastifyInstance, folder: string, heads: readonly Head[]): void {
  const of = (params: unknown) => heads[Number((params as { index: string }).index)]!
  app.get('/stream/:index', (request, reply) => {
    const head = of(request.params)
    apply(head, reply)
    return reply.send(createReadStream(`${folder}/${head.size}.bin`))
  })
  app.get('/static/:index', (request, reply) => {
    const { size, headers, sendDate, reason } = of(request.params)
    for (const [name, value] of structuredClone(headers)) reply.header(name, value)
    reply.raw.sendDate = sendDate
    if (reason !== undefined) reply.raw.statusMessage = reason
    return reply.sendFile(`${size}.bin`)
  })
}

function withoutTime ({ head, sha256 }: Reply): object {
  return { head: head.replace(/^(Date: ).*$/m, '$1...'), sha256 }
}

async function exchange (client: RawClient, { method, requestHeaders }: Head, path: string): Promise<Reply> {
  send(client, `${method} ${path} HTTP/1.1`, 'Host: localhost', ...requestHeaders)
  return readReply(client, method)
}

async function compareHeads (t: Tap.Test, options: Pick<ServerOptions, 'fastify'>, seed: number): Promise<void> {
  const random = new Random(seed)
  const folder = makeFolder(t)
  for (const size of SIZES) makeFile(folder, size)
  const heads = Array.from({ length: HEADS }, () => randomHead(random))
  const setup = (app: FastifyInstance) => routes(app, folder, heads)
  const plain = await serveFolder(t, folder, { ...options, setup })
  const tested = await serveFolder(t, folder, { ...options, ktls: {}, setup })
  let offloaded = 0
  for (const [index, head] of heads.entries()) {
    const path = `/${random.pick(['stream', 'static'])}/${index}`
    const promoted = random.below(2) === 0
    const replies: Reply[] = []
    for (const { port } of [plain, tested]) {
      const client = await open(port)
      if (promoted) await exchange(client, { ...head, method: 'GET', requestHeaders: [] }, `/${SIZES[1]}.bin`)
      replies.push(await exchange(client, head, path))
      client.tls.destroy()
    }
    if (promoted) t.match(await tested.decisions(1), [{ path: 'file' }])
    const [decision] = await tested.decisions(1)
    if (decision!.path === 'file') offloaded++
    t.strictSame(withoutTime(replies[1]!), withoutTime(replies[0]!), `${promoted ? 'promoted' : 'fresh'} ${path} ${decision!.reason} ${JSON.stringify(head)}`)
  }
  t.ok(offloaded > HEADS / 6, `${offloaded} of ${HEADS} were offloaded`)
}

t.test('the head is the head that Node writes, whatever is in it', async t => {
  await compareHeads(t, {}, 1)
})

t.test('and with the hints of a connection that ends some time', async t => {
  await compareHeads(t, { fastify: { keepAliveTimeout: 5000, maxRequestsPerSocket: 3 } }, 2)
})
