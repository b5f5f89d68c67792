import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { statsOf } from '../support/backend'
import { ask, open, receive } from '../support/client'
import type { RawClient } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { countPromotions, openDescriptors } from '../support/kernel'
import { request } from '../support/request'
import type { TestServer } from '../support/server'
import { keepAllBuffersSmall } from '../support/sockets'
import { serveFolder } from '../support/static'
import { until } from '../support/wait'

/** More than the buffers of a connection hold where they are kept small, and so is the long head. */
const BIG = 4 << 20
const LONG = 4 << 20
const SMALL = 100_000

interface Scene extends TestServer {
  /** `replied`: how many replies have ended on the connection from that port. */
  readonly seen: { sockets: number, open: number, readonly replied: Map<number, number> }
  /** What has been logged since the last call, and the errors that the server's events told; in no order. */
  readonly trace: () => string[]
  /** Called by the route /now before it replies, by /later as it is entered. */
  whenAsked: () => void
}

async function scene (t: Tap.Test, folder: string, ktls: boolean): Promise<Scene> {
  const seen: Scene['seen'] = { sockets: 0, open: 0, replied: new Map() }
  const told: string[] = []
  const server = await serveFolder(t, folder, {
    ...(ktls ? { ktls: {} } : {}),
    setup: app => {
      app.log.level = 'info'
      app.server.on('connection', socket => {
        seen.sockets++
        seen.open++
        socket.once('close', () => seen.open--)
      })
      for (const name of ['tlsClientError', 'clientError']) app.server.on(name, (error: NodeJS.ErrnoException) => told.push(`${name} ${error.code}`))
      app.addHook('onRequest', async (request, reply) => {
        const port = request.raw.socket.remotePort!
        reply.raw.once('finish', () => seen.replied.set(port, repliedTo(port, seen) + 1))
      })
      app.get('/now', (_request, reply) => {
        result.whenAsked()
        return reply.sendFile('big.bin')
      })
      app.get('/later', async (request, reply) => {
        result.whenAsked()
        await once(request.raw.socket, 'close')
        return reply.sendFile('big.bin')
      })
      app.get('/long-head', (_request, reply) => reply.header('x-long', 'x'.repeat(LONG)).sendFile('big.bin'))
    }
  })
  const trace = () => [
    ...server.warnings.splice(0).map(({ level, msg, err }) => `${level} ${msg} ${(err as NodeJS.ErrnoException | undefined)?.code}`),
    ...told.splice(0)
  ].sort()
  const result: Scene = { ...server, seen, trace, whenAsked: () => {} }
  return result
}

interface Stage {
  readonly name: string
  /** Has a connected client go as far as this. */
  readonly reach: (client: RawClient, scene: Scene) => Promise<void>
  /** Whether a connection is promoted by then that was not before. */
  readonly promotes: boolean
}

const STAGES: readonly Stage[] = [
  { name: 'before a request', promotes: false, reach: async () => {} },
  {
    name: 'when the request has come and the reply has not begun',
    promotes: false,
    reach: async (client, scene) => {
      const asked = new Promise<void>(resolve => { scene.whenAsked = resolve })
      ask(client, '/later')
      await asked
    }
  },
  {
    name: 'in the response head',
    promotes: true,
    reach: async client => {
      const { bytesRead } = client.tcp
      ask(client, '/long-head')
      client.tls.resume()
      await until(() => client.tcp.bytesRead > bytesRead + 50_000)
    }
  },
  {
    name: 'in mid-file',
    promotes: true,
    reach: async client => {
      ask(client, '/big.bin')
      client.tls.resume()
      await once(client.tls, 'data')
    }
  },
  { name: 'after the last byte', promotes: true, reach: download }
]

const repliedTo = (port: number, { replied }: Scene['seen']) => replied.get(port) ?? 0

/** The whole of the small file, and the server knows. */
async function download (client: RawClient, { seen }: Scene): Promise<void> {
  const port = client.tcp.localPort!
  const replied = repliedTo(port, seen)
  let missing = SMALL
  const count = (chunk: Buffer) => {
    const head = chunk.indexOf('\r\n\r\n')
    missing -= missing === SMALL && head !== -1 ? chunk.length - head - 4 : chunk.length
  }
  client.tls.on('data', count)
  client.tls.resume()
  ask(client, '/small.bin')
  await until(() => missing === 0 && repliedTo(port, seen) > replied)
  client.tls.off('data', count)
  client.tls.pause()
}

async function settled ({ seen, app }: Scene): Promise<void> {
  await until(() => seen.open === 0 && (app.ktls === undefined || statsOf(app).connections.open === 0))
}

t.test('a client resets its connection', async t => {
  keepAllBuffersSmall(t)
  const folder = makeFolder(t)
  const [small, other] = [makeFile(folder, SMALL, 'small.bin'), makeFile(folder, 1_000_000, 'other.bin')]
  makeFile(folder, BIG, 'big.bin')
  const [plain, ktls] = [await scene(t, folder, false), await scene(t, folder, true)]
  // The sender thread's own descriptors come with the first promotion.
  for (const { origin } of [plain, ktls]) await request(`${origin}/small.bin`)

  const compare = async (t: Tap.Test, act: (scene: Scene) => Promise<void>, told = (trace: string[]) => trace) => {
    const traces: string[][] = []
    for (const scene of [plain, ktls]) {
      await settled(scene)
      const before = openDescriptors().length
      scene.trace()
      await act(scene)
      await settled(scene)
      await until(() => openDescriptors().length <= before)
      traces.push(told(scene.trace()))
      t.equal((await request(`${scene.origin}/small.bin`)).sha256, small.sha256, 'the next client is served')
    }
    t.strictSame(traces[1], traces[0], 'logged as without the plugin')
  }

  await t.test('in the handshake', t => compare(t, async ({ port, seen }) => {
    const tcp = connectTcp(port, '127.0.0.1')
    const sockets = seen.sockets
    // Never hears the server's answer.
    const deaf = new Duplex({ read () {}, write: (chunk, _encoding, callback) => { tcp.write(chunk, callback) } })
    connectTls({ socket: deaf, rejectUnauthorized: false }).on('error', () => {})
    await once(tcp, 'data')
    tcp.resetAndDestroy()
    await until(() => seen.sockets > sockets)
  }))

  for (const { name, reach, promotes } of STAGES) {
    for (const used of [false, true]) {
      await t.test(`${name}, on a ${used ? 'connection that carried a file' : 'new connection'}`, t => compare(t, async scene => {
        const promotions = countPromotions()
        const [client, bystander] = await Promise.all([open(scene.port), open(scene.port)])
        ask(bystander, '/other.bin', ['Connection: close'])
        await once(bystander.tls, 'readable')
        if (used) await download(client, scene)
        await reach(client, scene)
        client.tcp.resetAndDestroy()
        const { sha256, clean } = await receive(bystander)
        t.equal(sha256, other.sha256, "another connection's body is right")
        t.ok(clean)
        if (scene === ktls) t.equal(countPromotions() - promotions, used || promotes ? 2 : 1)
      }))
    }
  }

  // Whether Node tells of the reset depends on what it does at that moment: about 1 in
  // 120 has no 'clientError', with the plugin and without.
  await t.test('as the reply begins', t => compare(t, async scene => {
    const client = await open(scene.port)
    scene.whenAsked = () => client.tcp.resetAndDestroy()
    ask(client, '/now')
    await once(client.tcp, 'close')
  }, trace => trace.filter(line => line !== 'clientError ECONNRESET')))
})
