/*
 * Buffers, strings and JSON that are too large for the event loop to seal: the connection is promoted for them, and a
 * sender seals them from where they lie, whatever becomes of them meanwhile.
 */
import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { MessageChannel } from 'node:worker_threads'
import t from 'tap'
import { AFTER_FILE, BACKEND, SECURE, statsOf } from '../support/backend'
import { ask, get, open, readReply, requestOf } from '../support/client'
import { sha256 } from '../support/files'
import { countPromotions } from '../support/kernel'
import { request } from '../support/request'
import { startServer } from '../support/server'
import { until } from '../support/wait'

/** Bytes of a body up to which the event loop's thread sends it itself. */
const INLINE = 131_072
/** More than the buffers of both ends of a connection take. */
const MUCH = 24 << 20

const bytes = randomBytes(MUCH)
const text = bytes.toString('base64')
const list = Array.from({ length: 200_000 }, (_, index) => ({ index, name: `räksmörgås ${index}` }))

/** What a reply counts as whose data goes by the backend: without TLS by Node. */
const DECISION = { path: AFTER_FILE, backend: SECURE ? BACKEND : null, reason: 'payload-not-a-file', offloaded: false }

// First of all, so that nothing of another test's is freed meanwhile.
if (SECURE) {
  t.test('a client that leaves, and the memory that was kept for it', async t => {
    const { app, port } = await startServer(t, { ktls: {}, setup: app => { app.get('/', async () => Buffer.alloc(MUCH, 1)) } })
    const memory = () => {
      gc!()
      return process.memoryUsage().arrayBuffers
    }
    const before = memory()
    const clients = await Promise.all(Array.from({ length: 4 }, () => get(port, '/')))
    await until(() => statsOf(app).connections.open === 4 && memory() - before >= 4 * MUCH)
    t.ok(memory() - before < 4 * MUCH + (16 << 20), 'each once')
    for (const { tcp } of clients) tcp.resetAndDestroy()
    await until(() => statsOf(app).connections.open === 0)
    await until(() => memory() - before < MUCH)
  })
}

for (const version of SECURE ? ['TLSv1.2', 'TLSv1.3'] as const : [undefined]) {
  t.test(`each kind, ${version ?? 'without TLS'}`, async t => {
    const payloads: Record<string, { readonly payload: unknown, readonly body: Uint8Array | string }> = {
      buffer: { payload: bytes, body: bytes },
      'a part of a buffer': { payload: bytes.subarray(1_000_001, 9_000_000), body: bytes.subarray(1_000_001, 9_000_000) },
      'a typed array': { payload: new Uint32Array(bytes.buffer, bytes.byteOffset, 1_000_000), body: bytes.subarray(0, 4_000_000) },
      ascii: { payload: text, body: text },
      'of two bytes a character': { payload: 'ä'.repeat(3_000_000), body: 'ä'.repeat(3_000_000) },
      json: { payload: list, body: JSON.stringify(list) },
      'the first that is too large': { payload: bytes.subarray(0, INLINE + 1), body: bytes.subarray(0, INLINE + 1) }
    }
    const { app, origin, decisions } = await startServer(t, {
      ktls: {},
      setup: app => { app.get('/:kind', async request => payloads[(request.params as { kind: string }).kind]!.payload) }
    })
    for (const [kind, { body }] of Object.entries(payloads)) {
      const before = countPromotions()
      const response = await request(`${origin}/${encodeURIComponent(kind)}`, { minVersion: version, maxVersion: version })
      t.equal(response.sha256, sha256(body), kind)
      t.equal(countPromotions() - before, SECURE ? 1 : 0)
      t.match(await decisions(1), [DECISION], kind)
    }
    t.equal(statsOf(app).connections.promoted, SECURE ? Object.keys(payloads).length : 0)
  })
}

t.test('what the event loop seals itself promotes no connection', async t => {
  const small = bytes.subarray(0, INLINE)
  const { app, origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/small', async () => small)
      app.get('/off', { config: { ktls: false } }, async () => bytes)
      app.head('/head', async () => bytes)
    }
  })
  t.equal((await request(`${origin}/small`)).sha256, sha256(small))
  t.equal((await request(`${origin}/off`)).sha256, sha256(bytes))
  t.equal((await request(`${origin}/head`, { method: 'HEAD' })).headers['content-length'], String(MUCH))
  t.match(await decisions(3), [{ path: 'node' }, { path: 'node' }, { path: 'node', reason: 'no-body' }])
  t.equal(statsOf(app).connections.promoted, 0)
})

/**
 * Has a client ask for what `make` makes, and not read until `change` has changed it; resolves with the body's hash. Fastify
 * takes a Buffer of shared memory for JSON, so it is written past it, on a connection that has a backend already.
 */
async function hashAfter (t: Tap.Test, make: () => Uint8Array, change: (payload: Uint8Array) => unknown): Promise<string> {
  let payload: Uint8Array | undefined
  const { app, port } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/first', async () => bytes.subarray(0, INLINE + 1))
      app.get('/', (_request, reply) => {
        payload = make()
        reply.hijack().raw.writeHead(200, { 'content-length': payload.length }).end(payload)
      })
    }
  })
  const client = await get(port, '/first')
  await readReply(client)
  const before = statsOf(app).bytes.write
  ask(client, '/')
  // More than the event loop's thread takes at once: a sender is at work, and the client takes no more than the sockets hold.
  await until(() => statsOf(app).bytes.write - before > INLINE)
  await change(payload!)
  payload = undefined
  for (let turn = 0; turn < 3; turn++) {
    gc!()
    await setImmediate()
  }
  // What is free is another's now.
  const others = Array.from({ length: 4 }, () => Buffer.alloc(MUCH, 0x55))
  const { sha256 } = await readReply(client)
  t.equal(others.length, 4)
  client.tls.destroy()
  return sha256
}

/** Node's types leave it to those of browsers. */
const wasm = (globalThis as unknown as { WebAssembly: { Memory: new (size: { initial: number, maximum: number }) => { readonly buffer: ArrayBuffer, grow (pages: number): void } } }).WebAssembly

const WHOLE = sha256(bytes)

function copied (memory: ArrayBuffer | SharedArrayBuffer): Uint8Array {
  const copy = Buffer.from(memory)
  bytes.copy(copy)
  return copy
}

if (SECURE) {
  t.test('memory that goes away meanwhile', async t => {
    t.equal(await hashAfter(t, () => copied(new ArrayBuffer(MUCH)), () => {}), WHOLE, 'garbage')
    t.equal(await hashAfter(t, () => copied(new ArrayBuffer(MUCH)), payload => {
      const { port1, port2 } = new MessageChannel()
      port1.postMessage(payload, [payload.buffer as ArrayBuffer])
      port1.close()
      port2.close()
      t.equal(payload.length, 0)
    }), WHOLE, 'handed to a port')
    t.equal(await hashAfter(t, () => copied(new ArrayBuffer(MUCH)), payload => { structuredClone(payload.buffer, { transfer: [payload.buffer as ArrayBuffer] }) }), WHOLE, 'moved, and dropped')
  })

  t.test('memory that others may change is copied', async t => {
    const resizable = () => Reflect.construct(ArrayBuffer, [MUCH, { maxByteLength: 2 * MUCH }]) as ArrayBuffer & { resize (size: number): void }
    t.equal(await hashAfter(t, () => copied(resizable()), payload => { (payload.buffer as ReturnType<typeof resizable>).resize(0) }), WHOLE, 'resized')
    t.equal(await hashAfter(t, () => copied(new SharedArrayBuffer(MUCH)), payload => { payload.fill(0) }), WHOLE, 'shared')
    const memory = new wasm.Memory({ initial: MUCH / 65_536, maximum: MUCH / 65_536 + 1 })
    t.equal(await hashAfter(t, () => copied(memory.buffer), () => { memory.grow(1) }), WHOLE, 'of WebAssembly, that grows')
  })
}

t.test('the order of replies to pipelined requests', async t => {
  const { port } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/large', async () => bytes)
      app.get('/small', async () => ({ small: true }))
    }
  })
  const client = await open(port)
  client.tls.write(['/small', '/large', '/small', '/large', '/large', '/small'].map(path => requestOf(path)).join(''))
  for (const body of ['{"small":true}', bytes, '{"small":true}', bytes, bytes, '{"small":true}']) t.equal((await readReply(client)).sha256, sha256(body))
  client.tls.destroy()
})
