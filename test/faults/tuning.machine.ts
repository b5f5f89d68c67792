/*
 * Where TCP takes little at a time, or waits for full segments, it must not come to
 * wait for the sender while the sender waits for it: only a timer of 200 ms ends such
 * a wait, and the next record has its own. What is little depends on the segment.
 */
import type { Socket } from 'node:net'
import t from 'tap'
import type { Backend } from '../../types/index'
import { makeFile, makeFolder } from '../support/files'
import { countPromotions } from '../support/kernel'
import { setPackets, tuneTcp } from '../support/network'
import { request } from '../support/request'
import type { TestServer } from '../support/server'
import { setSocketOption } from '../support/sockets'
import { serveFolder } from '../support/static'

interface Setting {
  readonly name: string
  /** Who encrypts: the threads where the send buffer has no room for a record. */
  readonly backend: Backend
  /** The system's, before the server listens. */
  readonly system?: readonly [name: string, value: string]
  /** What the application does to a connection. */
  readonly connection?: (socket: Socket) => void
}

const DEFAULTS: Setting = { name: 'the defaults', backend: 'kernel' }

const SETTINGS: readonly Setting[] = [
  ...['1', '4096', '16384', '131072'].map(value => system('tcp_notsent_lowat', value)),
  system('tcp_wmem', '4096 4096 4096', 'threads'),
  system('tcp_limit_output_bytes', '4096'),
  option('TCP_CORK', 1),
  option('TCP_NODELAY', 0),
  option('SO_SNDBUF', 4096, 'threads')
]

function system (name: string, value: string, backend: Backend = 'kernel'): Setting {
  return { name: `${name} ${value}`, backend, system: [name, value] }
}

function option (name: Parameters<typeof setSocketOption>[1], value: number, backend: Backend = 'kernel'): Setting {
  return { name: `${name} ${value}`, backend, connection: socket => setSocketOption(socket, name, value) }
}

/** Bytes: over a hundred records, so that a wait for each is half a minute. */
const SIZE = 2_000_001
/** How many times as long as usual. */
const ALLOWED = 1.5
/** An emulated processor's times vary, so the fastest of a few downloads counts; more where one is too slow. */
const FEW = 3
const MANY = 6
/** Milliseconds that no download takes but one that stalls; it is cut then. */
const STALLED = 8000

const folder = makeFolder(t)
const file = makeFile(folder, SIZE)

t.test('no stall whatever the tuning', async t => {
  // The first downloads of all have code to load and to compile, and a file to read.
  for (const ktls of [true, false]) await fastest(MANY, t, await serve(t, DEFAULTS, ktls), DEFAULTS)
  for (const mtu of [65_536, 9000, 1500]) {
    await t.test(`MTU ${mtu}`, async t => {
      await setPackets(t, mtu)
      const usual = await fastest(FEW, t, await serve(t, DEFAULTS, true), DEFAULTS)
      for (const setting of SETTINGS) await t.test(setting.name, t => compare(t, setting, usual))
    })
  }
})

/** Fails unless a download takes about as long as `usual`, in milliseconds, or as without the plugin. */
async function compare (t: Tap.Test, setting: Setting, usual: number): Promise<void> {
  if (setting.system !== undefined) tuneTcp(t, ...setting.system)
  const [server, without] = [await serve(t, setting, true), await serve(t, setting, false)]
  let [took, plain] = [Infinity, Infinity]
  // In turn: what else the machine has to do slows down both.
  for (let tries = 1; tries <= MANY; tries++) {
    took = Math.min(took, await download(t, server, setting))
    if (took <= ALLOWED * usual) return t.pass(`${took} ms, by default ${usual}`)
    plain = Math.min(plain, await download(t, without, setting))
    if (took === STALLED || (tries >= FEW && took <= ALLOWED * plain)) break
  }
  t.ok(took <= ALLOWED * plain, `${took} ms, by default ${usual}, without the plugin ${plain}`)
}

function serve (t: Tap.Test, { connection }: Setting, ktls: boolean): Promise<TestServer> {
  return serveFolder(t, folder, {
    ...(ktls ? { ktls: { backends: ['kernel', 'threads'] } } : {}),
    setup: app => { app.addHook('onRequest', async request => { connection?.(request.raw.socket) }) }
  })
}

async function fastest (of: number, t: Tap.Test, server: TestServer, setting: Setting): Promise<number> {
  const times: number[] = []
  while (times.length < of) times.push(await download(t, server, setting))
  return Math.min(...times)
}

/** Milliseconds, on a connection of its own. */
async function download (t: Tap.Test, { app, origin, decisions }: TestServer, { backend }: Setting): Promise<number> {
  const promotions = countPromotions()
  const begin = performance.now()
  const received = await request(`${origin}/${file.name}`, { signal: AbortSignal.timeout(STALLED) }).catch(() => undefined)
  const took = Math.round(performance.now() - begin)
  const offloaded = app.hasDecorator('ktls')
  t.equal(countPromotions() - promotions, offloaded && backend === 'kernel' ? 1 : 0)
  if (offloaded) t.match(await decisions(1), [{ path: 'file', offloaded: true, backend }])
  if (received === undefined) return STALLED
  t.equal(received.sha256, file.sha256)
  return took
}
