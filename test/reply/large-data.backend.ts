/*
 * Buffers, strings and JSON that are too large for the event loop to seal: the connection is promoted for them, and a
 * sender seals them from where they lie, whatever becomes of them meanwhile.
 */
import { strictEqual } from 'node:assert'
import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import workerThreads, { MessageChannel } from 'node:worker_threads'
import type { FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { AFTER_FILE, BACKEND, SECURE, statsOf } from '../support/backend'
import { ask, get, open, readReply, receive, requestOf, send } from '../support/client'
import type { RawClient } from '../support/client'
import { sha256 } from '../support/files'
import { countPromotions } from '../support/kernel'
import { request } from '../support/request'
import { startServer } from '../support/server'
import { until } from '../support/wait'

/** Bytes of a body up to which the event loop's thread sends it itself. */
const INLINE = 131_072
/** More than the buffers of both ends of a connection take. */
const MUCH = 12 << 20

const bytes = randomBytes(MUCH)
/** Enough for a sender. */
const some = bytes.subarray(0, 2_000_000)
const text = some.toString('base64')
const list = Array.from({ length: 20_000 }, (_, index) => ({ index, name: `räksmörgås ${index}` }))

/** What a reply counts as whose data goes by the backend: without TLS by Node. */
const DECISION = SECURE ? { path: AFTER_FILE, backend: BACKEND, reason: null, offloaded: true } : { path: AFTER_FILE, backend: null, reason: 'data', offloaded: false }

for (const version of SECURE ? ['TLSv1.2', 'TLSv1.3'] as const : [undefined]) {
  t.test(`each kind, ${version ?? 'without TLS'}`, async t => {
    const payloads: Record<string, { readonly payload: unknown, readonly body: Uint8Array | string }> = {
      buffer: { payload: some, body: some },
      'a part of a buffer': { payload: some.subarray(100_001, 1_000_000), body: some.subarray(100_001, 1_000_000) },
      'a typed array': { payload: new Uint32Array(bytes.buffer, bytes.byteOffset, 200_000), body: bytes.subarray(0, 800_000) },
      ascii: { payload: text, body: text },
      'of two bytes a character': { payload: 'ä'.repeat(300_000), body: 'ä'.repeat(300_000) },
      'of one to four bytes a character': { payload: 'aä€😀'.repeat(100_000), body: 'aä€😀'.repeat(100_000) },
      'halves of surrogate pairs': { payload: 'a\ud83d'.repeat(100_000), body: 'a\ufffd'.repeat(100_000) },
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
  t.match(await decisions(3), [{ path: 'node', reason: 'data' }, { path: 'node', reason: SECURE ? 'route-opted-out' : 'data' }, { path: 'node', reason: 'no-body' }])
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
    const { transfer } = ArrayBuffer.prototype as { transfer?: (size: number) => ArrayBuffer }
    if (transfer !== undefined) t.equal(await hashAfter(t, () => copied(new ArrayBuffer(MUCH)), payload => { transfer.call(payload.buffer, 3) }), WHOLE, 'moved, and made smaller')
    t.equal(await hashAfter(t, () => copied(new ArrayBuffer(MUCH)), payload => { structuredClone(payload.buffer, { transfer: [payload.buffer as ArrayBuffer] }) }), WHOLE, 'moved, and dropped')
  })

  t.test('memory that others may change is copied', async t => {
    const resizable = () => Reflect.construct(ArrayBuffer, [MUCH, { maxByteLength: 2 * MUCH }]) as ArrayBuffer & { resize (size: number): void }
    t.equal(await hashAfter(t, () => copied(resizable()), payload => { (payload.buffer as ReturnType<typeof resizable>).resize(0) }), WHOLE, 'resized')
    t.equal(await hashAfter(t, () => copied(new SharedArrayBuffer(MUCH)), payload => { payload.fill(0) }), WHOLE, 'shared')
    const memory = new wasm.Memory({ initial: MUCH / 65_536, maximum: MUCH / 65_536 + 1 })
    t.equal(await hashAfter(t, () => copied(memory.buffer), payload => {
      payload.fill(0)
      memory.grow(1)
    }), WHOLE, 'of WebAssembly, that is used again and grows')
    // So is what other addons have lent.
    if ('isMarkedAsUntransferable' in workerThreads) {
      t.equal(await hashAfter(t, () => {
        const payload = copied(new ArrayBuffer(MUCH))
        workerThreads.markAsUntransferable(payload.buffer)
        return payload
      }, payload => { payload.fill(0) }), WHOLE, 'that cannot be transferred')
    }
  })
}

t.test('memory that goes away in the turn in which it is sent', async t => {
  const part = bytes.subarray(0, 300_000)
  const filled = (memory: ArrayBuffer) => {
    const buffer = Buffer.from(memory, 0, part.length)
    part.copy(buffer)
    return buffer
  }
  const memory = new wasm.Memory({ initial: 10, maximum: 20 })
  const resizable = Reflect.construct(ArrayBuffer, [part.length, { maxByteLength: part.length }]) as ArrayBuffer & { resize (size: number): void }
  const transferred = filled(new ArrayBuffer(part.length))
  const cases: Record<string, readonly [Buffer, () => void]> = {
    transferred: [transferred, () => { structuredClone(transferred.buffer, { transfer: [transferred.buffer as ArrayBuffer] }) }],
    resized: [filled(resizable), () => { resizable.resize(0) }],
    grown: [filled(memory.buffer), () => { memory.grow(1) }]
  }
  const { port } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/small', async () => 'small')
      app.get('/:name', (request, reply) => {
        const [payload, change] = cases[(request.params as { name: string }).name]!
        reply.send(payload)
        change()
      })
    }
  })
  for (const name of Object.keys(cases)) {
    const client = await get(port, `/${name}`)
    t.equal((await readReply(client)).sha256, sha256(part), name)
    ask(client, '/small')
    t.equal((await readReply(client)).body.toString(), 'small')
    client.tls.destroy()
  }
})

t.test('what the application does not send as a reply may be changed once it is written', async t => {
  const written = Buffer.from(bytes)
  const { port } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/first', async () => bytes.subarray(0, INLINE + 1))
      app.get('/', (_request, reply) => {
        reply.hijack().raw.writeHead(200, { 'content-length': MUCH }).end(written)
        // Over plain HTTP Node itself sends it from where it lies.
        if (SECURE) written.fill(0)
      })
    }
  })
  const client = await get(port, '/first')
  await readReply(client)
  ask(client, '/')
  t.equal((await readReply(client)).sha256, WHOLE)
  client.tls.destroy()
})

t.test('properties that an application gives to its own, or to all objects', async t => {
  const marked = Object.assign(Buffer.from(some), { bytes: undefined, text: 1, fd: 1 })
  const { port } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/first', async () => bytes.subarray(0, INLINE + 1))
      app.get('/text', async () => text)
      app.get('/marked', (_request, reply) => { reply.hijack().raw.writeHead(200, { 'content-length': marked.length }).end(marked) })
    }
  })
  const client = await get(port, '/first')
  await readReply(client)
  ask(client, '/marked')
  t.equal((await readReply(client)).sha256, sha256(some))
  const all = Object.getPrototypeOf({}) as { bytes?: number }
  Object.defineProperty(all, 'bytes', { value: 1, configurable: true, writable: true })
  t.teardown(() => { delete all.bytes })
  ask(client, '/text')
  t.equal((await readReply(client)).sha256, sha256(text))
  client.tls.destroy()
})

t.test('a server that closes takes replies along that are not with the client yet', async t => {
  const part = bytes.subarray(0, 1_000_000)
  for (const first of [true, false]) {
    // Of a first reply Node itself may still have session tickets before it.
    for (const wait of first ? [setImmediate] : [async () => {}, setImmediate]) {
      const { app, port } = await startServer(t, { ktls: {}, fastify: { forceCloseConnections: 'idle' }, setup: app => { app.get('/', async () => part) } })
      const clients = await Promise.all(Array.from({ length: 8 }, () => open(port)))
      if (!first) {
        for (const client of clients) {
          ask(client, '/')
          await readReply(client)
        }
      }
      let answered = 0
      const closed = new Promise<void>(resolve => {
        app.server.on('request', (_request, response: ServerResponse) => response.once('prefinish', () => {
          if (++answered === clients.length) wait().then(() => app.close()).then(resolve)
        }))
      })
      for (const client of clients) ask(client, '/')
      const replies = await Promise.all(clients.map(client => readReply(client)))
      t.strictSame(replies.map(({ sha256 }) => sha256), replies.map(() => sha256(part)), `${first ? 'a first' : 'a second'} reply`)
      for (const { tls } of clients) tls.destroy()
      await closed
    }
  }
})

t.test('the order of replies to pipelined requests', async t => {
  const { port, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.get('/large', async () => some)
      app.get('/small', async () => ({ small: true }))
    }
  })
  const client = await open(port)
  client.tls.write(['/small', '/large', '/small', '/large', '/large', '/small'].map(path => requestOf(path)).join(''))
  for (const body of ['{"small":true}', some, '{"small":true}', some, some, '{"small":true}']) t.equal((await readReply(client)).sha256, sha256(body))
  client.tls.destroy()
  t.match((await decisions(6)).filter(({ url }) => url === '/large'), [DECISION, DECISION, DECISION])
})

/** What happens to request, response and socket of one reply, of which the application takes `then` and the client `meanwhile`. */
async function eventsOf (t: Tap.Test, options: { ktls?: object }, then: (request: FastifyRequest) => void, meanwhile: (client: RawClient) => Promise<unknown>, ...lines: readonly string[]): Promise<string[]> {
  const seen: string[] = []
  const { port, log } = await startServer(t, {
    ...options,
    setup: app => {
      app.addHook('onResponse', async () => { seen.push('onResponse') })
      app.get('/', (request: FastifyRequest, reply: FastifyReply) => {
        const { socket } = request.raw
        for (const [name, emitter] of Object.entries({ request: request.raw, response: reply.raw, socket })) {
          for (const event of ['finish', 'close', 'error', 'drain', 'timeout']) emitter.on(event, () => seen.push(`${name} ${event}`))
        }
        const before = socket.bytesWritten
        reply.send(bytes)
        const { headersSent, writableEnded, writableFinished, writableLength } = reply.raw
        const head = 'content-length'.length
        seen.push(`${String(headersSent)} ${String(writableEnded)} ${String(writableFinished)} ${writableLength >= MUCH} ${socket.writableNeedDrain} ${socket.bytesWritten - before > MUCH + head}`)
        then(request)
      })
    }
  })
  const client = await open(port)
  send(client, ...lines)
  await meanwhile(client)
  await until(() => seen.includes('socket close') && seen.includes('response close'))
  t.strictSame(log, [])
  return seen
}

t.test('request, response and socket see what they see without the plugin', async t => {
  const whole = async (client: RawClient) => {
    const { size, clean } = await receive(client)
    strictEqual(size, MUCH)
    strictEqual(clean, true)
  }
  const some = async (client: RawClient) => receive(client)
  const leaves = async (client: RawClient) => {
    await until(() => client.tls.readableLength > 0)
    client.tcp.resetAndDestroy()
  }
  const cases: Record<string, readonly [Parameters<typeof eventsOf>[2], Parameters<typeof eventsOf>[3], ...string[]]> = {
    'Connection: close': [() => {}, whole, 'GET / HTTP/1.1', 'Host: localhost', 'Connection: close'],
    'HTTP/1.0': [() => {}, whole, 'GET / HTTP/1.0'],
    'the application ends the connection': [({ raw }) => { raw.socket.end() }, whole, 'GET / HTTP/1.1', 'Host: localhost'],
    'the application cuts the connection': [({ raw }) => { raw.socket.destroy() }, some, 'GET / HTTP/1.1', 'Host: localhost'],
    'the application cuts it, with an error': [({ raw }) => { raw.socket.destroy(new Error('no')) }, some, 'GET / HTTP/1.1', 'Host: localhost'],
    'the client leaves': [() => {}, leaves, 'GET / HTTP/1.1', 'Host: localhost']
  }
  for (const [name, parts] of Object.entries(cases)) {
    const [seen, expected] = [await eventsOf(t, { ktls: {} }, ...parts), await eventsOf(t, {}, ...parts)]
    // Reading or writing may meet the reset first.
    const inOrder = name === 'the client leaves' ? (events: string[]) => events.sort() : (events: string[]) => events
    t.strictSame(inOrder(seen), inOrder(expected), name)
  }
})

t.test('data in whose place an error is sent is not kept', async t => {
  let payload: WeakRef<Buffer> | undefined
  const { port } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.addHook('onSend', async request => { if (request.url === '/failing') throw new Error('a hook fails') })
      app.get('/first', async () => bytes.subarray(0, INLINE + 1))
      app.get('/failing', async () => {
        const made = Buffer.alloc(MUCH)
        payload = new WeakRef(made)
        return made
      })
    }
  })
  const client = await get(port, '/first')
  await readReply(client)
  ask(client, '/failing')
  t.match((await readReply(client)).head, / 500 /)
  await until(() => {
    gc!()
    return payload!.deref() === undefined
  })
})

t.test('data that another hook replaces', async t => {
  const { origin, decisions } = await startServer(t, {
    ktls: {},
    setup: app => {
      app.addHook('onSend', async () => 'another')
      app.get('/', async () => bytes)
    }
  })
  t.equal((await request(`${origin}/`)).sha256, sha256('another'))
  t.match(await decisions(1), [{ reason: SECURE ? 'payload-wrapped' : 'data' }])
})
