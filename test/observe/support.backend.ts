import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import Fastify from 'fastify'
import t from 'tap'
import { detect, listSupport } from '../../lib/machine/support'
import { ktls } from '../support/plugin'

t.test('what the kernel can do is found and said once', async t => {
  const messages: string[] = []
  const app = Fastify({ https: {}, logger: { level: 'info', stream: { write: (line: string) => { messages.push(JSON.parse(line).msg) } } } })
  const start = process.hrtime.bigint()
  const { support } = detect()
  t.comment(`the probe took ${Number(process.hrtime.bigint() - start) / 1e6} ms`)
  await app.register(ktls, { mode: 'auto' })
  await app.ready()
  t.equal(app.ktls.support, support)
  const all = { 'aes-128-gcm': true, 'aes-256-gcm': true, 'chacha20-poly1305': true }
  // As the kernel's own list of counters has it (Documentation/networking/tls.rst, Statistics).
  const rekey = process.env.KTLS_TEST_DOUBLE === '1'
    ? process.env.KTLS_DOUBLE_REKEY !== undefined
    : readFileSync('/proc/net/tls_stat', 'latin1').includes('TlsTxRekeyOk')
  t.strictSame(support, {
    available: true,
    reason: null,
    detail: null,
    backends: ['kernel', 'threads', 'plain'],
    kernel: release(),
    versions: { 'TLSv1.2': all, 'TLSv1.3': all },
    rekey
  })
  t.strictSame(messages, [`kernel TLS offload is available on Linux ${release()}: ${listSupport(support)}`])
  t.match(messages[0], 'TLSv1.2 with aes-128-gcm, aes-256-gcm, chacha20-poly1305; TLSv1.3 with aes-128-gcm, aes-256-gcm, chacha20-poly1305')
  await app.close()
})

t.test('mode "require" is content', async t => {
  const app = Fastify({ https: {} })
  await app.register(ktls, { mode: 'require' })
  await app.ready()
  await app.close()

  const plain = Fastify()
  await t.rejects(Promise.resolve(plain.register(ktls, { mode: 'require' }).ready()), { code: 'FST_KTLS_UNAVAILABLE', message: /plain-http/ })
})
