/* What the dashboard says that a connection has sent, beside what the plugin counts and the client gets. */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { Agent, get } from 'node:https'
import { join } from 'node:path'
import t from 'tap'
import type { LiveConnection } from '../../examples/dashboard/watch'
import type { Backend, Stats } from '../../types/index'
import { PROGRAM, StartChild } from './child'

const DOUBLE = join(__dirname, '../double/install.js')

const LARGE = 100_000_000

/** More than a file's head has, in bytes. */
const HEAD = 1000

interface State {
  readonly connections: readonly LiveConnection[]
  readonly stats: Stats
}

function ask (url: string, agent: Agent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { agent, rejectUnauthorized: false }, resolve).on('error', reject)
  })
}

async function read (response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  response.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  await once(response, 'end')
  return Buffer.concat(chunks)
}

const total = ({ file, write, node }: Stats['bytes']) => [...Object.values(file), ...Object.values(write), node].reduce((sum, count) => sum + count)

function test (backend: Backend, program: readonly string[]): void {
  t.test(`by ${backend}`, async t => {
    const child = new StartChild(t, ['--port', '0'], {}, [...program, PROGRAM])
    const origin = (await child.ready()).replace('localhost', '127.0.0.1')
    const agents = Array.from({ length: 3 }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
    const [observer, byBackend, byNode] = agents as [Agent, Agent, Agent]
    const state = async () => JSON.parse((await read(await ask(`${origin}/dashboard/state`, observer))).toString()) as State
    const of = ({ connections }: State, url: string) => connections.find(connection => connection.url === url)!

    const response = await ask(`${origin}/files/100MB.bin`, byBackend)
    const began = await state()
    t.match(of(began, '/files/100MB.bin'), { backend, path: 'file', underWay: LARGE })
    t.ok(of(began, '/files/100MB.bin').sent < HEAD, 'not what is under way')
    t.ok(began.stats.bytes.file[backend] < LARGE, 'nor has the backend taken it')

    t.equal((await read(response)).length, LARGE)
    t.equal((await read(await ask(`${origin}/default/100MB.bin`, byNode))).length, LARGE)
    // On a connection that the backend has, and too small for the path of files.
    await read(await ask(`${origin}/files/SHA256SUMS`, byBackend))
    const ended = await state()
    const [offloaded, written] = [of(ended, '/files/SHA256SUMS'), of(ended, '/default/100MB.bin')]
    t.match(offloaded, { backend, path: 'write', underWay: 0 })
    t.ok(offloaded.sent > LARGE && offloaded.sent < LARGE + 3 * HEAD, `${offloaded.sent} bytes`)
    t.match(written, { backend: null, path: 'node', underWay: 0 })
    t.ok(written.sent > LARGE && written.sent < LARGE + HEAD, `${written.sent} bytes`)
    t.equal(ended.connections.length, agents.length)
    t.equal(ended.connections.reduce((sum, { sent }) => sum + sent, 0), total(ended.stats.bytes), 'all together what the plugin counts')

    for (const agent of agents) agent.destroy()
    child.signal('SIGTERM')
    t.strictSame(await child.end(), { code: 0, errors: '' })
  })
}

// Where the kernel has TLS the plugin takes that.
if (!existsSync('/proc/net/tls_stat')) test('threads', [])
test('kernel', ['--require', DOUBLE])
