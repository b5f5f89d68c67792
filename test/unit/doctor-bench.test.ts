import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeCertificate } from '../../lib/doctor/bench/certificate'
import type { Comparison, Result } from '../../lib/doctor/bench/comparison'
import { SMALLEST, sizeOf } from '../../lib/doctor/bench/file'
import { addFigures, rate } from '../../lib/doctor/bench/figures'
import { measure } from '../../lib/doctor/bench/measure'
import { Progress } from '../../lib/doctor/bench/progress'
import { formatComparison } from '../../lib/doctor/bench/table'
import { verify } from '../../lib/doctor/bench/verify'
import { makeFile, makeFolder } from '../support/files'
import { ROOT } from '../support/node'

const SESSION = { protocol: 'TLSv1.3', cipher: 'a cipher' }
const NEVER = new AbortController().signal

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

t.test('a file has to be large enough', async t => {
  const folder = makeFolder(t)
  t.equal(sizeOf(makeFile(folder, SMALLEST).path), SMALLEST)
  t.throws(() => sizeOf(makeFile(folder, SMALLEST - 1).path), { message: new RegExp(`has ${SMALLEST - 1} bytes, `) })
})

t.test('a body that is not the file is no measurement', async t => {
  const path = join(makeFolder(t), 'file')
  writeFileSync(path, 'body')
  const sends = (body: string, whole = true) => ({
    download: async (_signal: AbortSignal, onData: (chunk: Uint8Array) => void = () => {}) => {
      for (const part of body.match(/.{1,2}/g) ?? []) onData(Buffer.from(part))
      return { size: body.length, whole, session: SESSION }
    }
  })
  t.equal(await verify(sends('body'), path, NEVER), SESSION)
  t.equal(await verify(sends('bod', false), path, NEVER), SESSION, 'as far as it came')
  for (const body of ['Body', 'bod', 'body more']) await t.rejects(verify(sends(body), path, NEVER), { message: /differs from the file/ }, body)
  await t.rejects(verify(sends('', false), path, NEVER), { message: /the time was over before a server had sent anything/ })
})

t.test('the figures of a turn', async t => {
  const usages = [{ cpu: 1e6, offloaded: { kernel: 1, threads: 2 } }, { cpu: 3e6, offloaded: { kernel: 4, threads: 6 } }]
  const downloads = [{ size: 9, whole: true, session: SESSION }, { size: 4, whole: false, session: SESSION }]
  const contender = { usage: async () => usages.shift()!, download: async () => downloads.shift()! }
  t.match(await measure(contender, 60_000), { bytes: 13, cpuSeconds: 2, downloads: 1, replies: 2, offloaded: { kernel: 3, threads: 4 } })
})

t.test('a turn is over with the download that is the last to end in it', async t => {
  let downloads = 0
  const usage = { cpu: 0, offloaded: { kernel: 0, threads: 0 } }
  const slow = {
    usage: async () => usage,
    download: async () => {
      downloads++
      await new Promise(resolve => setTimeout(resolve, 300))
      return { size: 1, whole: true, session: SESSION }
    }
  }
  t.match(await measure(slow, 500), { bytes: 1, downloads: 1 })
  t.equal(downloads, 1, 'another one would have been cut')
})

t.test('the figures of turns are added up, and rated', async t => {
  const turn = { bytes: 1e8, seconds: 2, cpuSeconds: 3, downloads: 4, replies: 5, offloaded: { kernel: 6, threads: 7 } }
  const sum = { bytes: 2e8, seconds: 4, cpuSeconds: 6, downloads: 8, replies: 10, offloaded: { kernel: 12, threads: 14 } }
  t.strictSame(addFigures([turn, turn]), sum)
  t.strictSame(rate(sum, 5e7), { ...sum, megabytesPerSecond: 50, cpuSecondsPerGigabyte: 30, cpuMillisecondsPerDownload: 1500 })
})

const rated = (bytes: number, cpuSeconds: number, offloaded: { kernel: number, threads: number }) =>
  rate({ bytes, seconds: 5, cpuSeconds, downloads: bytes / 1e8, replies: bytes / 1e8, offloaded }, 1e8)

const NONE = { kernel: 0, threads: 0 }
const DEFAULT: Result = { name: 'default', figures: rated(2e9, 4, NONE), unavailable: null }
const KERNEL: Result = { name: 'kernel', figures: rated(3e9, 3, { ...NONE, kernel: 30 }), unavailable: null }
const THREADS: Result = { name: 'threads', figures: rated(4e9, 4, { ...NONE, threads: 41 }), unavailable: null }
const NO_KERNEL: Result = { name: 'kernel', figures: null, unavailable: { reason: 'kernel-refused', text: 'it refuses', remedy: 'ask it kindly' } }

const comparison = (...contenders: readonly Result[]): Comparison => ({
  version: '1.2.3', file: 'movie.mp4', size: 1e8, seconds: 10, protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', contenders
})

t.test('the table', async t => {
  t.equal(formatComparison(comparison(DEFAULT, KERNEL, THREADS)), `movie.mp4 (100000000 bytes), over TLSv1.3 with TLS_AES_256_GCM_SHA384, one connection on the loopback interface:

                                 MB/s         CPU s/GB  CPU ms/download        downloads
Fastify's default               400.0            2.000          200.000               20
kernel TLS                      600.0            1.000          100.000               30
sender threads                  800.0            1.000          100.000               40

With kernel TLS: 1.50 times the throughput, for 0.50 times the processor time.
All its replies were encrypted by the kernel.
With sender threads: 2.00 times the throughput, for 0.50 times the processor time.
All its replies were encrypted by sender threads.
CPU is that of the server's process, all threads. The client decrypts in another
process; where it is the slower one, it limits the MB/s.`)
  const workflow = readFileSync(join(ROOT, '.github/workflows/release.yml'), 'utf8')
  t.match(formatComparison(comparison(DEFAULT, KERNEL, THREADS)), `\n${/grep -qF "(.+)" /.exec(workflow)![1]!}\n`, 'the words that the release looks for')
})

t.test('the table where a backend is not there, or has not taken all', async t => {
  const table = formatComparison(comparison(DEFAULT, NO_KERNEL, THREADS))
  t.match(table, '\nkernel TLS            not available: it refuses\nsender threads ')
  t.match(table, '\nTo have kernel TLS: ask it kindly\nWith sender threads: ')
  const some: Result = { ...KERNEL, figures: rated(3e9, 3, { ...NONE, kernel: 1 }) } as Result
  t.match(formatComparison(comparison(DEFAULT, some, THREADS)), '\nOf its 30 replies 1 were encrypted by the kernel, 0 by sender threads, the others by Node.\n')
})

t.test('how far it is: a line for each step, or one that changes on a terminal', async t => {
  for (const [isTTY, expected] of [[false, /^one\nother\n$/], [true, /^<EL>one \(\d+ s of 9 s\)<EL>other \(\d+ s of 9 s\)<EL>$/]] as const) {
    let written = ''
    const progress = new Progress({ isTTY, write: text => { written += text } }, 9)
    progress.step('one')
    progress.step('other')
    progress.end()
    progress.end()
    t.match(written.replaceAll('\r\x1b[K', '<EL>'), expected)
  }
})
