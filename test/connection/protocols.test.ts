import '../double/install'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import http from 'node:http'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { TLSSocket, TlsOptions } from 'node:tls'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import { Client } from 'undici'
import type { FallbackReason, ReplyDecision } from '../../types/index'
import { certificate } from '../certificate'
import { ONLY, statsOf } from '../support/backend'
import { makeFile, makeFolder, sha256 } from '../support/files'
import { ktls } from '../support/plugin'
import { request } from '../support/request'
import { sClient } from '../support/s-client'
import { startServer } from '../support/server'
import { until } from '../support/wait'

const folder = makeFolder(t)
const file = makeFile(folder, 300_000)

function routes (app: FastifyInstance): void {
  app.get('/file', (_request, reply) => reply.send(createReadStream(file.path)))
  app.get('/json', async () => ({}))
  app.get('/small-records', (request, reply) => {
    (request.raw.socket as TLSSocket).setMaxSendFragment(1024)
    return reply.send(createReadStream(file.path))
  })
}

async function httpServer (t: Tap.Test): Promise<{ app: FastifyInstance, decided: ReplyDecision[] }> {
  const decided: ReplyDecision[] = []
  const app = Fastify()
  await app.register(ktls, ONLY)
  app.addHook('onResponse', async (request: FastifyRequest) => { decided.push(request.ktls) })
  routes(app)
  t.teardown(() => app.close())
  return { app, decided }
}

t.test('plain HTTP', async t => {
  const { app, decided } = await httpServer(t)
  const outgoing = http.get(`${await app.listen({ host: '127.0.0.1', port: 0 })}/file`, { agent: false })
  const [response] = await once(outgoing, 'response') as [http.IncomingMessage]
  t.equal(sha256(await buffer(response)), file.sha256)
  await until(() => decided.length === 1)
  t.strictSame(decided, [{ offloaded: false, path: 'node', backend: null, version: null, cipher: null, reason: 'plain-http' }])
  t.strictSame(statsOf(app).fallbacks, { 'plain-http': 1 })
})

t.test('mode "require" wants HTTPS', async t => {
  const app = Fastify()
  app.register(ktls, { mode: 'require' })
  await t.rejects(Promise.resolve(app.ready()), { code: 'FST_KTLS_UNAVAILABLE', message: /plain-http/ })
})

t.test('mode "require" wants HTTP/1.1', async t => {
  const start = async (https: object) => {
    const app = Fastify({ http2: true, https: { ...await certificate(), ...https } })
    t.teardown(() => app.close())
    await app.register(ktls, { mode: 'require' })
    await app.ready()
  }
  for (const https of [{}, { allowHTTP1: false }]) {
    await t.rejects(start(https), { code: 'FST_KTLS_UNAVAILABLE', message: /\(http2\): .* HTTP\/2 only; .*allowHTTP1/ })
  }
  await t.resolves(start({ allowHTTP1: true }))
})

t.test('inject()', async t => {
  const plain = await httpServer(t)
  const secure = await startServer(t, { ktls: {}, setup: routes })
  for (const app of [plain.app, secure.app]) {
    const { rawPayload } = await app.inject('/file')
    t.equal(sha256(rawPayload), file.sha256)
    t.strictSame(statsOf(app).fallbacks, { inject: 1 })
  }
  t.match(await secure.decisions(1), [{ path: 'node', reason: 'inject', version: null }])
})

const SUITES: ReadonlyArray<{ name: string, tls: TlsOptions, reason: FallbackReason, cipher: RegExp }> = [
  { name: 'TLS 1.3 with CCM', tls: { ciphers: 'TLS_AES_128_CCM_SHA256' }, reason: 'cipher-not-offloadable', cipher: /AES_128_CCM/ },
  { name: 'TLS 1.2 with CBC', tls: { ciphers: 'ECDHE-ECDSA-AES128-SHA256', maxVersion: 'TLSv1.2' }, reason: 'cipher-not-offloadable', cipher: /AES_128_CBC/ },
  { name: 'TLS 1.1', tls: { ciphers: 'ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0', minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' }, reason: 'version-not-offloadable', cipher: /AES_128_CBC/ }
]

for (const { name, tls, reason, cipher } of SUITES) {
  t.test(`${name} is for no backend`, async t => {
    const { app, origin, decisions } = await startServer(t, { ktls: {}, tls, setup: routes })
    const { minVersion, maxVersion, ciphers } = tls
    const response = await request(`${origin}/file`, { ciphers, ...(minVersion && { minVersion }), ...(maxVersion && { maxVersion }) })
    t.equal(response.sha256, file.sha256)
    t.match(await decisions(1), [{ path: 'node', reason, cipher }])
    t.equal(statsOf(app).connections.promoted, 0)
  })
}

t.test('a connection whose user wants smaller records', async t => {
  const { app, origin, decisions } = await startServer(t, { ktls: {}, setup: routes })
  const client = new Client(origin, { connect: { rejectUnauthorized: false } })
  t.teardown(() => client.close())
  for (const path of ['/small-records', '/file']) {
    const { body } = await client.request({ path, method: 'GET' })
    t.equal(sha256(new Uint8Array(await body.arrayBuffer())), file.sha256)
  }
  t.match(await decisions(2), [{ path: 'node', reason: 'max-send-fragment' }, { path: 'node', reason: 'max-send-fragment' }])
  t.match(statsOf(app).connections, { seen: 1, promoted: 0 })
})

t.test('a connection that OpenSSL traces', async t => {
  for (const [when, flags, nodeOptions] of [
    ['option', [], ''], ['secureConnection', [], ''], ['onResponse', [], ''], ['flag', ['--trace-tls'], ''], ['NODE_OPTIONS', [], '--trace-tls'],
    ['onResponse', ['--no-trace-tls'], '--trace-tls']
  ] as const) {
    const child = await promisify(execFile)(process.execPath, [...flags, join(__dirname, 'traced-server.js'), file.path, when], {
      env: { ...process.env, NODE_OPTIONS: nodeOptions, KTLS_TEST_CERTIFICATE: JSON.stringify(await certificate()) }
    })
    const promoted = when === 'onResponse'
    t.match(JSON.parse(child.stdout), [promoted ? { offloaded: true } : { path: 'node', reason: 'trace-enabled' }], when)
    t.equal(/Sent Record/i.test(child.stderr), !promoted, 'a trace')
    t.equal(child.stderr.includes('FST_KTLS_TRACE'), promoted, 'a warning')
  }
})

t.test('a connection that was handed to the server', async t => {
  const { app, decisions } = await startServer(t, { ktls: {}, setup: routes })
  const front = createServer((socket: Socket) => app.server.emit('connection', socket)).listen(0, '127.0.0.1')
  await once(front, 'listening')
  t.teardown(() => { front.close() })
  t.equal((await request(`https://127.0.0.1:${(front.address() as AddressInfo).port}/file`)).sha256, file.sha256)
  t.match(await decisions(1), [{ path: 'node', reason: 'not-captured' }])
})

/** In HTTP/1.0, so that the body comes as it is and ends with the connection. */
const GET_FILE = 'GET /file HTTP/1.0\r\n\r\n'

t.test('a connection whose keys OpenSSL has updated', async t => {
  const { port, decisions } = await startServer(t, { ktls: {}, setup: routes })
  const bytes = await sClient(port, ['-tls1_3', '-no_ign_eof'], async ({ write, line }) => {
    write('K\n')
    await line('KEYUPDATE')
    write('GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n')
    // OpenSSL has answered the key update before the first reply.
    t.match(await decisions(1), [{ path: 'node', reason: 'data' }])
    write(GET_FILE)
  })
  t.equal(sha256(bytes.subarray(-file.size)), file.sha256)
  t.match(await decisions(1), [{ path: 'node', reason: 'key-updated' }])
})
