import { availableParallelism } from 'node:os'
import t from 'tap'
import { closings } from '../support/accounts'
import { BACKEND } from '../support/backend'
import { ask, open, readReply } from '../support/client'
import type { RawClient } from '../support/client'
import { discardingClient } from '../support/discard'
import { makeFile, makeFolder } from '../support/files'
import { countPromotions, usesDouble } from '../support/kernel'
import { isKnownCached } from '../support/page-cache'
import type { TestServer } from '../support/server'
import { keepAllBuffersSmall } from '../support/sockets'
import { serveFolder } from '../support/static'
import { busyTime, threadsNamed } from '../support/threads'
import { until } from '../support/wait'

const folder = makeFolder(t)
/** More than the main thread would send by itself. */
const small = makeFile(folder, 300_000)
/** More than the buffers of a connection hold where they are kept small. */
const EDGE = 2 << 20
/** On the host encryption takes a tenth of what an emulated processor does, and the loop's own work is the same. */
const ON_HOST = usesDouble() || BACKEND === 'threads'
const MEASURED = ON_HOST ? 128 << 20 : 64 << 20
const large = makeFile(folder, MEASURED + 2 * EDGE)
/** Where not, readers do the senders' work. */
const sendersSend = isKnownCached(large.path)

/** Of the encryption's time. */
const MAIN_SHARE = ON_HOST ? 0.1 : 0.02

/** An emulated processor that has to wait for a real one counts that as work. */
const ROUNDS = 5

const sum = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0)

/** What threads have had of processors while something was done, by their ids. */
async function busyDuring (threads: () => readonly string[], task: () => Promise<unknown>): Promise<Map<string, number>> {
  const before = new Map(threads().map(id => [id, busyTime(id)]))
  await task()
  return new Map(threads().map(id => [id, busyTime(id) - (before.get(id) ?? 0)]))
}

async function download (client: RawClient, { decisions }: TestServer): Promise<string> {
  ask(client, `/${small.name}`)
  const { sha256 } = await readReply(client)
  await decisions(1)
  return sha256
}

/** Until the kernel has let go of so many connections. */
async function closed (count: number, end: () => void): Promise<void> {
  const ended = () => sum(Object.values(closings()))
  const before = ended()
  end()
  await until(() => ended() - before >= count)
}

/** The senders; the first promotion starts them. */
async function startSenders (server: TestServer): Promise<string[]> {
  const client = await open(server.port)
  await download(client, server)
  await closed(1, () => client.tls.destroy())
  return threadsNamed('ktls-sender')
}

/** The time that the encryption has cost the main thread, and the threads that do it, with a connection for each sender. */
async function measure (t: Tap.Test, { port, decisions }: TestServer, senders: readonly string[]) {
  const clients = await Promise.all(senders.map(() => discardingClient(t, port)))
  const receive = (count: number) => Promise.all(clients.map(client => client.receive(count)))
  await Promise.all(clients.map(client => client.ask(`/${large.name}`)))
  // Then all wait for their clients, and what a request costs the main thread is over.
  const begun = await receive(EDGE)
  let measured: number[] = []
  let main = 0
  // Within, so that the main thread is not charged for the others' figures.
  const times = await busyDuring(() => threadsNamed('ktls-'), async () => {
    const task = async () => { measured = await receive(MEASURED) }
    main = sum([...(await busyDuring(() => [String(process.pid)], task)).values()])
  })
  const ended = await receive(large.size)
  t.match(await decisions(clients.length), clients.map(() => ({ path: 'file', offloaded: true })))
  const sizes = clients.map((_client, i) => begun[i]! + measured[i]! + ended[i]!)
  t.ok(sizes.every(size => size >= large.size), `${sizes.join(' and ')} bytes`)
  return { main, times }
}

/** The busiest threads' parts: a reader can stand in for a sender, when memory is short and pages go. */
function sharesOf (times: ReadonlyMap<string, number>, senders: number): number[] {
  const spent = [...times.values()]
  return spent.sort((one, other) => other - one).slice(0, senders).map(time => time / sum(spent))
}

t.test('the senders share out the encryption, and the main thread has none of it', async t => {
  keepAllBuffersSmall(t)
  const server = await serveFolder(t, folder, { ktls: {} })
  const senders = await startSenders(server)
  t.equal(senders.length, Math.min(availableParallelism(), 4))
  const promotions = countPromotions()
  const isFair = (share: number) => share >= 0.8 / senders.length && share <= 1.2 / senders.length
  // Over all rounds: what one thread is charged for in vain evens out.
  const times = new Map<string, number>()
  let main = 1
  let shares: number[] = []
  let rounds = 0
  while (rounds < ROUNDS) {
    rounds++
    const round = await measure(t, server, senders)
    // What else the machine has to do only adds to it.
    main = Math.min(main, round.main / sum([...round.times.values()]))
    for (const [id, time] of round.times) times.set(id, time + (times.get(id) ?? 0))
    if (rounds === 1 || !shares.every(isFair)) shares = sharesOf(times, senders.length)
    if (main <= MAIN_SHARE && (shares.every(isFair) || !sendersSend)) break
  }
  t.ok(main <= MAIN_SHARE, `the main thread has ${main}`)
  t.ok(!sendersSend || shares.every(isFair), `the busiest threads have ${shares.join(', ')}`)
  t.equal(countPromotions() - promotions, rounds * senders.length)
})

t.test('a connection goes to the sender that has the fewest', async t => {
  const server = await serveFolder(t, folder, { ktls: {} })
  const senders = await startSenders(server)
  const promotions = countPromotions()
  /** The one that works when a client downloads. */
  const senderOf = async (client: RawClient) => {
    const times = await busyDuring(() => senders, async () => t.equal(await download(client, server), small.sha256))
    return senders.findIndex(id => times.get(id) === Math.max(...times.values()))
  }
  const connect = async () => {
    const client = await open(server.port)
    await download(client, server)
    return { client, sender: await senderOf(client) }
  }
  const connectAll = async (count: number) => {
    const all: Array<Awaited<ReturnType<typeof connect>>> = []
    while (all.length < count) all.push(await connect())
    return all
  }
  const each = 3
  const connections = await connectAll(each * senders.length)
  const on = (sender: number) => connections.filter(one => one.sender === sender)
  t.strictSame(senders.map((_id, sender) => on(sender).length), senders.map(() => each), 'each has its share')

  await closed(each, () => { for (const { client } of on(0)) client.tls.destroy() })
  t.strictSame((await connectAll(each)).map(({ sender }) => sender), Array(each).fill(0), 'and new ones go where others have gone')
  t.equal(countPromotions() - promotions, each * (senders.length + 1))
})
