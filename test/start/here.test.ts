import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { get } from 'node:https'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { sha256 } from '../support/files'
import { StartChild } from './child'
import { fetchBytes, parseSums } from './download'

const KERNEL_TLS = existsSync('/proc/net/tls_stat')

t.test('it serves by this machine at once, and says what encrypts, why, and how to see the kernel do it', async t => {
  const child = new StartChild(t, [], { PORT: '0' })
  const origin = await child.ready()
  t.match(await child.line(/ encrypted by /), KERNEL_TLS ? /this machine's own kernel/ : /encrypted by sender threads/)
  t.match(await child.line(/^Why: /), KERNEL_TLS ? /has kernel TLS/ : /: .*; .* \(npx fastify-ktls says more\)\.$/)
  t.equal(child.lines.includes('By the kernel of a guest: npm start -- --guest'), !KERNEL_TLS)

  const sums = parseSums((await fetchBytes(`${origin}/files/SHA256SUMS`, child.certificate)).toString())
  t.same([...sums.keys()], ['1MB.bin', '10MB.bin', '100MB.bin'])
  for (const [name, sum] of sums) {
    t.equal(sha256(await fetchBytes(`${origin}/files/${name}`, child.certificate)), sum, name)
    t.match(
      await child.line(new RegExp(`^GET /files/${name} `)),
      KERNEL_TLS ? /bytes +file by kernel +[\d,]+ ms$/ : /bytes +file by threads +[\d,]+ ms$/
    )
  }
  await t.rejects(fetchBytes(`${origin}/files/missing`, child.certificate))
  t.match(await child.line(/^GET \/files\/missing /), / 404 /)

  child.signal('SIGTERM')
  t.same(await child.end(), { code: 0, errors: '' })
})

t.test('a client that leaves in the middle is reported, and does not hold up the end', async t => {
  const child = new StartChild(t, ['--port', '0'])
  const origin = await child.ready()
  const request = get(`${origin}/files/100MB.bin`, { rejectUnauthorized: false })
  await once(request, 'response')
  request.destroy()
  t.match(await child.line(/^GET \/files\/100MB\.bin /), / 200 +cut off /)
  child.signalGroup('SIGINT')
  t.same(await child.end(), { code: 0, errors: '' })
})

t.test('a port in use gives a plain message', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as AddressInfo
  const { code, errors } = await new StartChild(t, ['--port', String(port)]).end()
  t.equal(code, 1)
  t.equal(errors, `port ${port} of 127.0.0.1 is in use: end what listens there, or choose another with --port\n`)
})

t.test('a wrong argument gives a plain message', async t => {
  const { code, errors } = await new StartChild(t, ['--hear']).end()
  t.equal(code, 2)
  t.equal(errors, 'the option --hear is not known (npm start -- --help says what is accepted)\n')
})
