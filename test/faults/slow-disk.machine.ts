import { once } from 'node:events'
import { appendFileSync, createReadStream, readFileSync, truncateSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Socket } from 'node:net'
import t from 'tap'
import { SECURE, statsOf } from '../support/backend'
import { ask, get, open, readReply, receive } from '../support/client'
import type { RawClient, Received } from '../support/client'
import { makeDisk } from '../support/disk'
import { makeFile, openCount, sha256 } from '../support/files'
import type { TestFile } from '../support/files'
import { makeSlowFolder } from '../support/fuse'
import type { SlowFolder } from '../support/fuse'
import { countPromotions, openDescriptors } from '../support/kernel'
import { isKnownCached } from '../support/page-cache'
import { request } from '../support/request'
import { startServer } from '../support/server'
import type { TestServer } from '../support/server'
import { keepAllBuffersSmall } from '../support/sockets'
import { serveFolder } from '../support/static'
import { threadsNamed } from '../support/threads'
import { until } from '../support/wait'

/** Reads beyond it are held back. */
const FROM = 1 << 20
/** A client that has so much waits for one that is held: the rest is in reads ahead, pipes and records. */
const FIRST_PART = FROM - (512 << 10)

/** As in native/transmit/blocking_pool.cc. */
const READERS = 16
const OTHERS = 4

let ordinary: TestFile
let slowFile: TestFile
let slow: SlowFolder
/** Whether the kernel can say what is in the page cache (Linux 6.5); where not, each file needs a reader. */
let knowsCache: boolean

t.before(async () => {
  // Of tmpfs and overlayfs the kernel does not say what is in the page cache.
  const disk = await makeDisk(t, 64)
  ordinary = makeFile(disk.folder, (3 << 20) + 54_321)
  slowFile = makeFile(disk.folder, (4 << 20) + 12_345)
  slow = await makeSlowFolder(t, slowFile, FROM)
  // The sender threads' own descriptors come with the first promotion.
  const { origin } = await serve(t)
  await request(`${origin}/${ordinary.name}`)
  knowsCache = isKnownCached(ordinary.path)
})

t.afterEach(async () => {
  await slow.release()
  await slow.hold()
})

/** Serves the ordinary file, and the slow one under any name below /slow/. */
function serve (t: Tap.Test) {
  return serveFolder(t, dirname(ordinary.path), {
    ktls: {},
    setup: app => {
      app.get<{ Params: { name: string } }>('/slow/:name', (request, reply) => reply.sendFile(request.params.name, slow.folder))
    }
  })
}

interface Waiting {
  readonly client: RawClient
  readonly received: Promise<Received>
  /** The bytes that have come. */
  got: number
}

/** Asks for the slow file and reads all that comes. */
async function askForSlow (port: number, name: string): Promise<Waiting> {
  const client = await get(port, `/slow/${name}`, ['Connection: close'])
  const waiting: Waiting = { client, received: receive(client), got: 0 }
  // Who leaves has no use for it.
  waiting.received.catch(() => {})
  client.tls.on('data', chunk => { waiting.got += chunk.length })
  return waiting
}

/** More clients than there are readers, all of which wait. */
async function crowd ({ app, port }: TestServer, name: string): Promise<Waiting[]> {
  const all = await Promise.all(Array.from({ length: READERS + 4 }, () => askForSlow(port, name)))
  await until(() => statsOf(app).connections.promoted === all.length && all.filter(({ got }) => got >= FIRST_PART).length >= READERS)
  return all
}

/** Downloads of the ordinary file, each on a connection of its own. */
function downloads (origin: string, count: number) {
  return Promise.all(Array.from({ length: count }, () => request(`${origin}/${ordinary.name}`)))
}

function right (t: Tap.Test, replies: ReadonlyArray<{ readonly sha256: string }>, file: TestFile): void {
  t.strictSame(replies.map(({ sha256 }) => sha256), replies.map(() => file.sha256))
}

t.test('others are served while a file waits for its disk', async t => {
  const { app, port, origin, decisions, warnings } = await serve(t)
  const promotions = countPromotions()
  // So many that one at least is on the sender of the file that waits.
  const others = threadsNamed('ktls-sender').length + 1
  const known = await Promise.all(Array.from({ length: others }, () => open(port)))
  const again = () => Promise.all(known.map(client => {
    ask(client, `/${ordinary.name}`)
    return readReply(client)
  }))
  right(t, await again(), ordinary)
  const waiting = await askForSlow(port, 'alone')
  await until(() => waiting.got >= FIRST_PART && slow.held() > 0)

  for (const replies of await Promise.all([again(), downloads(origin, others)])) right(t, replies, ordinary)
  t.ok(slow.held() > 0, 'all that while the read was held')
  t.ok(waiting.got < slowFile.size)
  await slow.release()
  const received = await waiting.received
  right(t, [received], slowFile)
  t.ok(received.clean)
  for (const { tls } of known) tls.destroy()
  t.ok((await decisions(3 * others + 1)).every(({ offloaded }) => offloaded))
  t.equal(countPromotions() - promotions, 2 * others + 1)
  await until(() => statsOf(app).connections.open === 0)
  t.strictSame(warnings, [])
})

t.test('others are served while the close of a file that was given up waits', async t => {
  keepAllBuffersSmall(t)
  const { app, port, origin } = await serve(t)
  const path = join(slow.folder, 'given-up')
  await slow.release()
  // So many that each sender has one.
  const count = threadsNamed('ktls-sender').length + 1
  const sockets: Socket[] = []
  app.server.on(SECURE ? 'secureConnection' : 'connection', (socket: Socket) => sockets.push(socket))
  await Promise.all(Array.from({ length: count }, () => get(port, '/slow/given-up')))
  await until(() => statsOf(app).connections.promoted === count && openCount(path) === count)
  await slow.holdCloses(true)
  // Not by the clients: of their resets a reader would hear.
  for (const socket of sockets) socket.destroy()
  await until(() => slow.closing() >= count)
  right(t, await downloads(origin, count), ordinary)
  t.equal(openCount(path), 0, 'in this process, though the kernel waits')
  await slow.holdCloses(false)
  await until(() => statsOf(app).connections.open === 0)
})

t.test('more files wait for their disk than there are threads to wait', async t => {
  const server = await serve(t)
  const { origin, decisions } = server
  const promotions = countPromotions()
  const waiting = await crowd(server, 'crowd')
  const others = downloads(origin, OTHERS)
  if (knowsCache) await others
  t.ok(slow.held() > 0, 'what is in the page cache does not wait')
  t.ok(waiting.every(({ got }) => got < slowFile.size))
  t.equal(threadsNamed('ktls-reader').length, READERS)
  await slow.release()
  right(t, await others, ordinary)
  const received = await Promise.all(waiting.map(({ received }) => received))
  right(t, received, slowFile)
  t.ok(received.every(({ clean }) => clean))
  t.ok((await decisions(waiting.length + OTHERS)).every(({ offloaded }) => offloaded))
  t.equal(countPromotions() - promotions, waiting.length + OTHERS)
})

t.test('clients leave while their file waits for its disk', async t => {
  const server = await serve(t)
  const { app, origin, warnings } = server
  const [promotions, before] = [countPromotions(), openDescriptors().length]
  const waiting = await crowd(server, 'left')
  waiting.forEach(({ client }, i) => {
    if (i % 2 === 0) client.tcp.resetAndDestroy()
    else client.tls.destroy()
  })
  // A FIN alone does not tell the server that nobody reads.
  await until(() => statsOf(app).connections.open <= waiting.length / 2)
  t.ok(slow.held() > 0)
  t.ok(openCount(join(slow.folder, 'left')) > 0, 'the threads that wait have it open')
  await slow.release()
  await until(() => statsOf(app).connections.open === 0 && openDescriptors().length <= before)
  t.equal(openCount(join(slow.folder, 'left')), 0)
  right(t, [await request(`${origin}/slow/left`)], slowFile)
  right(t, await downloads(origin, 1), ordinary)
  t.equal(countPromotions() - promotions, waiting.length + 2)
  t.strictSame(warnings, [])
})

t.test('a connection that the application destroys ends at once, whatever its file waits for', async t => {
  const { app, port } = await serve(t)
  const sockets: Socket[] = []
  app.server.on(SECURE ? 'secureConnection' : 'connection', (socket: Socket) => sockets.push(socket))
  const waiting = await askForSlow(port, 'destroyed')
  await until(() => waiting.got >= FIRST_PART && slow.held() > 0)
  sockets[0]!.destroy()
  await once(waiting.client.tcp, 'close')
  t.ok(slow.held() > 0)
  t.ok(waiting.got < slowFile.size)
  if (SECURE) t.notOk(waiting.client.records.endsWithAlert(), 'no close_notify pretends that this was all')
  await slow.release()
  await until(() => statsOf(app).connections.open === 0)
})

t.test('a file that has become longer or shorter behind a file server', async t => {
  const file = makeFile(dirname(ordinary.path), 100_001)
  const { folder, release } = await makeSlowFolder(t, file, file.size * 2)
  await release()
  const { origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => { app.get('/', (_request, reply) => reply.send(createReadStream(join(folder, 'changing')))) }
  })
  const promotions = countPromotions()
  right(t, [await request(origin)], file)
  for (const change of [() => appendFileSync(file.path, 'more'), () => truncateSync(file.path, 90_000)]) {
    change()
    t.equal((await request(origin)).sha256, sha256(readFileSync(file.path)))
  }
  t.match(await decisions(3), [{ offloaded: true }, { offloaded: true }, { offloaded: true }])
  t.equal(countPromotions() - promotions, 3)
})

t.test('a server closes while a file waits for its disk', async t => {
  const before = openDescriptors().length
  const { app, port } = await serve(t)
  const promotions = countPromotions()
  const waiting = await askForSlow(port, 'closed')
  await until(() => waiting.got >= FIRST_PART && slow.held() > 0)
  await app.close()
  t.ok(slow.held() > 0, 'it closes at once')
  await slow.release()
  const { size, clean } = await waiting.received
  t.ok(size < slowFile.size)
  t.notOk(clean, 'no close_notify pretends that this was all')
  await until(() => openDescriptors().length <= before)
  t.equal(countPromotions() - promotions, 1)
})
