import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeCertificate } from '../../lib/doctor/bench/certificate'
import { verify } from '../../lib/doctor/bench/compare'
import { addFigures, formatComparison } from '../../lib/doctor/bench/figures'
import { parseOptions } from '../../lib/doctor/options'
import { sha256 } from '../support/files'
import { ROOT } from '../support/node'

t.test('the arguments', async t => {
  for (const [args, expected] of [
    [[], { command: 'check' }],
    [['--help'], { command: 'help' }],
    [['bench', '-h'], { command: 'help' }],
    [['bench'], { command: 'bench', file: undefined, seconds: 10 }],
    [['bench', 'movie.mp4'], { command: 'bench', file: 'movie.mp4', seconds: 10 }],
    [['bench', '--seconds', '0.5', 'movie.mp4'], { command: 'bench', file: 'movie.mp4', seconds: 0.5 }]
  ] as const) t.strictSame(parseOptions(args), expected)
  for (const [args, message] of [
    [['benhc'], /"benhc"; accepted is "bench"/],
    [['--seconds', '3'], /the command is ""/],
    [['bench', 'one', 'other'], /^too many arguments: one file is accepted, not also "other"$/],
    [['bench', '--seconds', '0'], /--seconds is "0"/],
    [['bench', '--seconds', 'ten'], /--seconds is "ten"/],
    [['bench', '--seconds', '3601'], /--seconds is "3601"/],
    [['--second', '3'], /--second/]
  ] as const) t.throws(() => parseOptions(args), { message })
})

t.test('the certificate', async t => {
  const now = Date.UTC(2026, 0, 2, 3, 4, 5)
  const { key, cert } = makeCertificate(now)
  t.match(key, 'BEGIN PRIVATE KEY')
  const read = new X509Certificate(cert)
  t.equal(read.subject, 'CN=localhost')
  t.equal(read.issuer, 'CN=localhost')
  t.ok(read.verify(read.publicKey), 'is signed by itself')
  t.equal(Date.parse(read.validFrom), now - 24 * 3600 * 1000)
  t.equal(Date.parse(read.validTo), now + 24 * 3600 * 1000)
  t.not(new X509Certificate(makeCertificate(now).cert).serialNumber, read.serialNumber)
})

t.test('a body that is not the file is no measurement', async t => {
  const answer = { size: 5, version: 'TLSv1.3', cipher: 'a cipher' }
  const contender = {
    download: async (onData: (chunk: Uint8Array) => void = () => {}) => {
      for (const part of ['bo', 'dy']) onData(Buffer.from(part))
      return answer
    }
  }
  t.equal(await verify(contender, sha256('body')), answer)
  await t.rejects(verify(contender, sha256('Body')), { message: /differs from the file/ })
})

t.test('the figures of turns are added up', async t => {
  const turn = { bytes: 1, seconds: 2, cpuSeconds: 3, replies: 4, offloaded: { kernel: 5, threads: 6 } }
  t.strictSame(addFigures([turn, turn]), { bytes: 2, seconds: 4, cpuSeconds: 6, replies: 8, offloaded: { kernel: 10, threads: 12 } })
})

t.test('the table', async t => {
  const ordinary = { bytes: 2e9, seconds: 5, cpuSeconds: 4, replies: 20, offloaded: { kernel: 0, threads: 0 } }
  const plugin = { bytes: 3e9, seconds: 5, cpuSeconds: 3, replies: 30, offloaded: { kernel: 30, threads: 0 } }
  const comparison = { file: 'movie.mp4', size: 1e8, version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', ordinary, plugin }
  t.equal(formatComparison(comparison), `movie.mp4 (100000000 bytes), over TLSv1.3 with TLS_AES_256_GCM_SHA384, one connection on the loopback interface:

                                 MB/s         CPU s/GB  CPU ms/download        downloads
Fastify                         400.0            2.000          200.000               20
with fastify-ktls               600.0            1.000          100.000               30

With the plugin: 1.50 times the throughput, for 0.50 times the processor time.
All its replies were encrypted by the kernel.
CPU is that of the server's process, all threads. The client decrypts in another
process; where it is the slower one, it limits the MB/s.`)
  const workflow = readFileSync(join(ROOT, '.github/workflows/release.yml'), 'utf8')
  t.match(formatComparison(comparison), `\n${/grep -qF "(.+)" /.exec(workflow)![1]!}\n`, 'the words that the release looks for')
  const conclusionOf = (kernel: number, threads: number) => formatComparison({ ...comparison, plugin: { ...plugin, offloaded: { kernel, threads } } })
  t.match(conclusionOf(0, 30), '\nAll its replies were encrypted by sender threads.\n')
  t.match(conclusionOf(1, 2), '\nOf its 30 replies 1 were encrypted by the kernel and 2 by sender threads; files below the option minSize')
})
