import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import type { SecureVersion } from 'node:tls'
import t from 'tap'
import { certificate } from '../certificate'
import { BACKEND } from '../support/backend'
import type { ChildConnections, ChildMessage, ChildOptions } from '../support/secrets-child'
import { open, readReply, send } from '../support/client'
import { makeFile, makeFolder } from '../support/files'
import { usesDouble } from '../support/kernel'
import { messageOf } from '../support/message'
import { RecordKeys, SUITES } from '../support/record-client'

const folder = makeFolder(t)
const file = makeFile(folder, 100_000)
const json = makeFile(folder, 100)

/** How often bytes occur in the memory of another process. */
function occurrences (pid: number, needles: readonly Buffer[]): number[] {
  const counts = needles.map(() => 0)
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  const chunk = Buffer.alloc(4 << 20)
  for (const [, range] of readFileSync(`/proc/${pid}/smaps`, 'latin1').matchAll(/^([0-9a-f]+-[0-9a-f]+ rw[^]*?)^VmFlags/gm)) {
    const match = /^([0-9a-f]+)-([0-9a-f]+)/.exec(range!)!
    // Where no page has ever been touched.
    if (/^Rss: +0 kB$/m.test(range!) && /^Swap: +0 kB$/m.test(range!)) continue
    const end = parseInt(match[2]!, 16)
    let at = parseInt(match[1]!, 16)
    while (at < end) {
      let size: number
      try {
        size = readSync(memory, chunk, 0, Math.min(chunk.length, end - at), at)
      } catch {
        break // not for reading after all: [vvar] and the like
      }
      needles.forEach((needle, i) => {
        for (let found = chunk.indexOf(needle); found >= 0 && found < size; found = chunk.indexOf(needle, found + 1)) counts[i]!++
      })
      if (size < chunk.length) break
      at += size - 64 // across the border
    }
  }
  closeSync(memory)
  return counts
}

function ask (child: ChildProcess): Promise<ChildConnections> {
  child.send('connections')
  return messageOf(child)
}

interface Server {
  readonly child: ChildProcess
  readonly port: number
  readonly rekey: boolean
}

/** Whose secrets are looked for is a connection's own: one process serves several, as starting it takes longest. */
async function start (t: Tap.Test, options: Omit<ChildOptions, 'folder'>): Promise<Server> {
  const child = fork(join(__dirname, '../support/secrets-child.js'), [JSON.stringify({ folder, ...options } satisfies ChildOptions)], {
    execArgv: ['--expose-gc'],
    env: { ...process.env, NODE_OPTIONS: '', KTLS_TEST_CERTIFICATE: JSON.stringify(await certificate()) }
  })
  t.teardown(() => { child.kill() })
  const { port, rekey } = await messageOf<ChildMessage>(child)
  return { child, port, rekey }
}

interface Case {
  readonly version: SecureVersion
  readonly name: string
  readonly ciphers?: string
}

/**
 * How many copies of the server's write secret, of its hexadecimal form and of
 * the write key there are in its process, after a reply and after the connection.
 */
async function copies (t: Tap.Test, { child, port, rekey }: Server, { version, name, ciphers }: Case) {
  const before = await ask(child)
  const needles: Buffer[] = []
  const connection = { minVersion: version, maxVersion: version, ...(ciphers && { ciphers }) }
  const client = await open(port, connection, line => {
    const [label, , hex = ''] = line.toString().trim().split(' ')
    if (label !== 'SERVER_TRAFFIC_SECRET_0' && label !== 'CLIENT_RANDOM') return
    const secret = Buffer.from(hex, 'hex')
    needles.push(secret, Buffer.from(hex))
    if (version === 'TLSv1.3' && ciphers === undefined) needles.push(new RecordKeys(SUITES.TLS_AES_256_GCM_SHA384!, secret).key)
  })
  send(client, `GET /${name} HTTP/1.1`, 'Host: localhost')
  t.match((await readReply(client)).head, '200')
  const promoted = (await ask(child)).promoted - before.promoted
  const [secret, hex, key] = occurrences(child.pid!, needles)
  client.tls.destroy()
  while ((await ask(child)).open > 0) continue
  const counts = () => {
    const [secret, ...others] = occurrences(child.pid!, needles)
    // OpenSSL frees the SSL with its copy in it unwiped: seen without the plugin too.
    return [Math.max(0, secret! - 1), ...others]
  }
  // It does so some turns of the event loop later; looking takes longer than asking.
  for (let i = 0; i < 10; i++) await ask(child)
  let afterwards = counts()
  for (let i = 0; i < 20 && Math.max(...afterwards) > 0; i++) {
    await ask(child)
    afterwards = counts()
  }
  return { promoted, rekey, secret: secret!, hex: hex!, key: key ?? 0, afterwards }
}

/** That no backend takes. */
const CIPHERS = { 'TLSv1.2': 'ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA384', 'TLSv1.3': 'TLS_AES_128_CCM_SHA256' }

t.test("copies of secrets in the server's memory", async t => {
  const [withoutPlugin, withPlugin, refusing] = await Promise.all([
    start(t, { plugin: false }),
    start(t, { plugin: true }),
    start(t, { plugin: true, ciphers: Object.values(CIPHERS).join(':') })
  ])
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    await t.test(version, async t => {
      const plain = await copies(t, withoutPlugin, { version, name: file.name })
      const waiting = await copies(t, withPlugin, { version, name: json.name })
      const promoted = await copies(t, withPlugin, { version, name: file.name })
      const refused = await copies(t, refusing, { version, name: file.name, ciphers: CIPHERS[version] })
      t.strictSame([plain.promoted, waiting.promoted, promoted.promoted, refused.promoted], [0, 0, 1, 0])
      // The search works: OpenSSL keeps one. TLS 1.2 needs no other.
      t.equal(plain.secret, 1)
      t.equal(waiting.secret, version === 'TLSv1.3' ? 2 : 1, 'kept while the connection can be promoted')
      t.equal(promoted.secret, version === 'TLSv1.3' && promoted.rekey ? 2 : 1, 'kept afterwards for a key update alone')
      t.equal(refused.secret, 1, 'dropped once the connection cannot be promoted')
      // The host double seals with keys of its own.
      // A cipher's state begins with the key: OpenSSL keeps its own, and so do the threads.
      if (!usesDouble()) t.ok(promoted.key <= plain.key + (BACKEND === 'threads' ? 1 : 0), `the key: ${promoted.key} times, without the plugin ${plain.key}`)
      for (const { hex, afterwards } of [plain, waiting, promoted, refused]) {
        t.equal(hex, 0, 'no line of the key log')
        t.strictSame(afterwards, afterwards.map(() => 0), 'nothing of ours is left of a connection')
      }
    })
  }
})
