import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import type { Failure } from '../../lib/binding'
import { BACKEND } from '../support/backend'
import { connectRecords } from '../support/record-client'
import { CHOICE, addon, closed, connect, connectPromoted, descriptorOf, listen, promote, promoted, range, settled } from './bare-addon'
import type { Connection, Promoted } from './bare-addon'
import { until } from '../support/wait'

const { errno } = constants
/** The call that finds a file too short. */
const READ = BACKEND === 'kernel' ? 'sendfile' : 'read'
const FILE_SIZE = 5 * 1024 * 1024 + 4321
// Within one record: what is held back then belongs to a send that was taken
// whole, and the next one is not taken at all.
const CHUNK = 16_000
const TLS13 = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' } as const
const TLS12 = { version: 'TLSv1.2', cipher: 'ECDHE-ECDSA-AES256-GCM-SHA384' } as const
const NEGOTIATIONS = [
  { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256' },
  TLS13,
  { version: 'TLSv1.3', cipher: 'TLS_CHACHA20_POLY1305_SHA256' },
  { version: 'TLSv1.2', cipher: 'ECDHE-ECDSA-AES128-GCM-SHA256' },
  TLS12,
  { version: 'TLSv1.2', cipher: 'ECDHE-ECDSA-CHACHA20-POLY1305' }
] as const

const content = randomBytes(FILE_SIZE)
const path = join(t.testdir({}), 'content')
writeFileSync(path, content)
const file = openSync(path, 'r')
t.teardown(() => closeSync(file))

function sha256 (...parts: Uint8Array[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

function openDescriptors (): number {
  return readdirSync('/proc/self/fd').length
}

/** Whether the peer's FIN has come, by the kernel's list of sockets. */
function inCloseWait ({ localPort, remotePort }: TLSSocket): boolean {
  const [local, remote] = [localPort, remotePort].map(port => port!.toString(16).toUpperCase().padStart(4, '0'))
  return readFileSync('/proc/net/tcp', 'latin1').includes(`0100007F:${local} 0100007F:${remote} 08 `)
}

/** All that the client gets until the server has ended or the connection broke. */
async function received (client: TLSSocket): Promise<Buffer> {
  const chunks: Buffer[] = []
  client.on('data', chunk => chunks.push(chunk))
  await Promise.race([once(client, 'end'), once(client, 'close')])
  return Buffer.concat(chunks)
}

async function destroy ({ client, server }: Connection): Promise<void> {
  const gone = [client, server].filter(socket => !socket.closed).map(socket => once(socket, 'close'))
  client.destroy()
  server.destroy()
  await Promise.all(gone)
}

/**
 * Sends to a client that does not read until a send cannot be taken at once.
 * From then on sealed bytes are held back. Returns what was sent.
 */
function fill ({ transmitter }: Promoted): { sent: Buffer[], last: Promise<void> } {
  const sent: Buffer[] = []
  for (;;) {
    const chunk = randomBytes(CHUNK)
    sent.push(Buffer.from(chunk))
    const result = transmitter.send([chunk])
    chunk.fill(0) // the caller may reuse it
    if (result !== true) return { sent, last: settled(transmitter, result) }
  }
}

t.test('the probe finds every cipher', async t => {
  t.match(addon.probe(), { error: 0, call: '', tls12: [0, 0, 0], tls13: [0, 0, 0] })
})

for (const negotiation of NEGOTIATIONS) {
  t.test(`${negotiation.version} ${negotiation.cipher}: data, a file range, data, close_notify`, async t => {
    const connection = await connectPromoted(negotiation)
    const { client, session, transmitter } = connection
    t.equal(client.getCipher().name, negotiation.cipher)
    const body = received(client)
    const head = randomBytes(200)
    const tail = randomBytes(70_001)
    const [offset, length] = [12_345, 4 * 1024 * 1024 + 321]
    await settled(transmitter, transmitter.send([head]))
    await settled(transmitter, transmitter.send([head, range(file, offset, length)]))
    await settled(transmitter, transmitter.send([tail]))
    session.closeNotify()
    // No FIN yet: only a close_notify ends the stream here.
    t.equal(sha256(await body), sha256(head, head, content.subarray(offset, offset + length), tail))
    t.equal(transmitter.dataBytes, 2 * head.length + tail.length)
    t.equal(transmitter.fileBytes, length)
    await settled(transmitter, transmitter.shutdown(false))
    await closed(transmitter)
    await destroy(connection)
  })
}

t.test('a resumed TLS 1.3 session counts the records it has', async t => {
  const first = await connectPromoted(TLS13)
  const [ticket] = await once(first.client.resume(), 'session') as [Buffer]
  await closed(first.transmitter)
  await destroy(first)

  const connection = await connectPromoted(TLS13, { session: ticket })
  const { client, session, transmitter } = connection
  t.ok(client.isSessionReused())
  const body = received(client)
  await settled(transmitter, transmitter.send([range(file, 1, 100_000)]))
  session.closeNotify()
  t.equal(sha256(await body), sha256(content.subarray(1, 100_001)))
  await closed(transmitter)
  await destroy(connection)
})

t.test('operations queue up in order behind a client that does not read', async t => {
  const connection = await connectPromoted(TLS13)
  const { client, session, transmitter } = connection
  const { sent, last } = fill(connection)
  const [head, tail] = [randomBytes(999), randomBytes(CHUNK)]
  const whole = settled(transmitter, transmitter.send([head, range(file, 0, FILE_SIZE), tail]))
  const rest = settled(transmitter, transmitter.send([range(file, FILE_SIZE - 7, 7)]))
  const tailCopy = Buffer.from(tail)
  tail.fill(0)
  session.closeNotify()
  const body = await received(client)
  await Promise.all([last, whole, rest])
  t.equal(sha256(body), sha256(...sent, head, content, tailCopy, content.subarray(FILE_SIZE - 7)))
  await closed(transmitter)
  await destroy(connection)
})

for (const [end, alerts] of [['close_notify', [[1, 0]]], ['a shutdown without it', []]] as const) {
  t.test(`no key is changed after ${end}`, async t => {
    const { port, accept } = await listen(TLS13)
    const [client, connection] = await Promise.all([connectRecords(port), accept()])
    const { server, session } = connection
    const transmitter = await promoted(connection, { rekey: true })
    if (alerts.length > 0) session.closeNotify()
    else await settled(transmitter, transmitter.shutdown(false))
    await client.until(() => client.alerts.length === alerts.length)
    client.updateKey(true)
    client.tcp.end()
    await once(server.resume(), 'end')
    t.equal(transmitter.send([Buffer.alloc(0)]), true, 'nothing has failed')
    if (alerts.length > 0) await settled(transmitter, transmitter.shutdown(false))
    await client.until(() => client.ended)
    t.strictSame([client.keyUpdates, client.alerts], [0, alerts])
    await closed(transmitter)
  })
}

t.test('an empty write makes no record', async t => {
  const connection = await connectPromoted(TLS13)
  const { client, session, transmitter } = connection
  t.equal(transmitter.send([Buffer.alloc(0)]), true)
  t.equal(transmitter.send([Buffer.alloc(0), Buffer.from('some'), Buffer.alloc(0)]), true)
  session.closeNotify()
  t.equal((await received(client)).toString(), 'some')
  await closed(transmitter)
  await destroy(connection)
})

t.test('shutdown waits for bytes that are held back', async t => {
  const connection = await connectPromoted(TLS12)
  const { client, transmitter } = connection
  const { sent, last } = fill(connection)
  const down = settled(transmitter, transmitter.shutdown(false))
  const body = await received(client)
  await Promise.all([last, down])
  t.equal(sha256(body), sha256(...sent))
  await closed(transmitter)
  await destroy(connection)
})

t.test('abort keeps what was reported as written, also when Node has closed its descriptor', async t => {
  const connection = await connectPromoted(TLS13)
  const { client, server, transmitter } = connection
  const { sent, last } = fill(connection)
  last.catch(() => t.fail('an aborted operation has no event'))
  sent.pop()
  const gone = closed(transmitter)
  server.destroy()
  await once(server, 'close')
  const body = await received(client)
  const reported = Buffer.concat(sent)
  t.ok(body.length >= reported.length, 'nothing is missing')
  t.equal(sha256(body.subarray(0, reported.length)), sha256(reported))
  await gone
  await destroy(connection)
})

t.test('abort in the middle of a file ends the connection', async t => {
  const connection = await connectPromoted(TLS13)
  const { client, transmitter } = connection
  const pending = transmitter.send([range(file, 0, FILE_SIZE), range(file, 0, FILE_SIZE), range(file, 0, FILE_SIZE)])
  t.equal(pending, false)
  await once(client, 'readable')
  const gone = closed(transmitter)
  connection.server.destroy()
  const body = await received(client)
  await gone
  t.ok(body.length < 3 * FILE_SIZE)
  t.equal(sha256(body), sha256(Buffer.concat([content, content, content]).subarray(0, body.length)))
  await destroy(connection)
})

t.test('abort owes nothing of an operation that has not ended', async t => {
  for (let i = 0; i < 10; i++) {
    const connection = await connectPromoted(TLS13)
    // The data opens a record, which ends with the file.
    connection.transmitter.send([randomBytes(100), range(file, 0, FILE_SIZE)])
    await closed(connection.transmitter)
    await destroy(connection)
  }
  t.pass('closed each time')
})

t.test('a client that goes away fails what waits', async t => {
  const connection = await connectPromoted(TLS13)
  const { client, server, transmitter } = connection
  server.on('error', () => {})
  const { last } = fill(connection)
  const next = settled(transmitter, transmitter.send([range(file, 0, FILE_SIZE)]))
  // The buffers may have found room for it meanwhile, which is as well.
  last.catch(() => {})
  client.destroy() // resets, since it has not read everything
  const { error } = await next.then(() => t.fail('the file went nowhere'), (reason: Failure) => reason) as Failure
  t.ok(error === -errno.ECONNRESET || error === -errno.EPIPE)
  t.type(transmitter.send([randomBytes(10)]), 'object')
  await closed(transmitter)
  await destroy(connection)
})

t.test('a reset ends the wait for bytes that are held back', async t => {
  const first = await connectPromoted(TLS13)
  const { sent, last } = fill(first)
  last.catch(() => {})
  first.server.on('error', () => {})
  first.client.destroy()
  await closed(first.transmitter)
  await destroy(first)

  // As many sends again leave the queue idle with the last record held back.
  const connection = await connectPromoted(TLS13)
  const { client, server, transmitter } = connection
  for (const chunk of sent.slice(1)) transmitter.send([chunk])
  const gone = new Promise(resolve => {
    server.on('error', resolve)
    server.on('end', resolve)
  })
  server.resume()
  client.destroy()
  await gone // Node has read the socket's error, which is told once
  await closed(transmitter)
  t.pass('closed without waiting for an acknowledgement that cannot come')
  await destroy(connection)
})

t.test('a file that is shorter than promised fails with ENODATA', async t => {
  const connection = await connectPromoted(TLS13)
  connection.client.resume()
  const { transmitter } = connection
  const sending = settled(transmitter, transmitter.send([range(file, 10, FILE_SIZE)]))
  t.match(await sending.catch((failure: unknown) => failure), { error: -errno.ENODATA, call: READ })
  await closed(transmitter)
  await destroy(connection)
})

t.test('a connection with bytes on their way from OpenSSL to TCP is not promoted', async t => {
  for (const negotiation of [TLS12, TLS13]) {
    const connection = await connect(negotiation)
    const { client, server, session } = connection
    const head = randomBytes(32 * 1024 * 1024)
    // The client does not read: far more than TCP has room for.
    const written = new Promise(resolve => server.write(head, resolve))
    for (let turn = 0; turn < 3; turn++) {
      t.match(session.promote(descriptorOf(server), CHOICE, () => {}), { refusal: 'not-ready' })
      await new Promise(setImmediate)
    }
    const body = received(client)
    await written
    const transmitter = await promoted(connection)
    await settled(transmitter, transmitter.send([range(file, 0, FILE_SIZE)]))
    session.closeNotify()
    t.equal(sha256(await body), sha256(head, content))
    await closed(transmitter)
    await destroy(connection)
  }
})

t.test('a failure is told to an operation whose other parts still wait', async t => {
  const connection = await connectPromoted(TLS13)
  connection.client.resume()
  const { transmitter } = connection
  const sending = settled(transmitter, transmitter.send([range(file, FILE_SIZE, 1), randomBytes(10)]))
  t.match(await sending.catch((failure: unknown) => failure), { error: -errno.ENODATA, call: READ })
  t.match(transmitter.send([randomBytes(10)]), { error: -errno.ENODATA, call: READ }, 'and to all that follow')
  await closed(transmitter)
  await destroy(connection)
})

t.test('a second promotion, which would count on from the same number, is refused and leaves the first alone', async t => {
  for (const negotiation of NEGOTIATIONS) {
    const connection = await connectPromoted(negotiation)
    const { client, session, transmitter } = connection
    t.match(await promote(connection), { refusal: 'not-captured' })
    const body = received(client)
    await settled(transmitter, transmitter.send([range(file, 0, FILE_SIZE)]))
    session.closeNotify()
    t.equal(sha256(await body), sha256(content))
    await closed(transmitter)
    await destroy(connection)
  }
})

t.test('a connection that the client has half closed is refused by the kernel', async t => {
  const connection = await connect(TLS13)
  connection.client.resume().end()
  // 'end' would come with the close_notify, which precedes the FIN.
  while (!inCloseWait(connection.server)) await new Promise(setImmediate)
  if (BACKEND === 'kernel') t.match(await promote(connection), { refusal: 'connection-closed', error: 0 })
  else await closed(await promoted(connection))
  await destroy(connection)
})

t.test('no descriptor is left behind', async () => {
  const before = openDescriptors()
  for (const negotiation of NEGOTIATIONS) {
    const connection = await connectPromoted(negotiation)
    const { client, transmitter } = connection
    fill(connection)
    transmitter.send([range(file, 0, FILE_SIZE), range(file, 0, FILE_SIZE)])
    const gone = closed(transmitter)
    client.resume()
    await gone
    await destroy(connection)
  }
  // Another thread closes files.
  await until(() => openDescriptors() === before)
})

// Short counts everywhere: below, at and above the size of a record. What the threads send is none of the double's.
if (BACKEND === 'kernel' && process.env['KTLS_DOUBLE_SEND_LIMIT'] === undefined) {
  for (const limit of ['1000', '16384', '20000']) {
    t.spawn(process.execPath, [__filename], { env: { ...process.env, KTLS_DOUBLE_SEND_LIMIT: limit } },
      `calls take at most ${limit} bytes`)
  }
}
