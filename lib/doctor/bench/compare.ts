import { createHash } from 'node:crypto'
import { makeCertificate } from './certificate'
import { Contender } from './contender'
import type { Download } from './contender'
import { sha256Of, sizeOf } from './file'
import { addFigures } from './figures'
import type { Comparison, Figures } from './figures'

/** Each contender is measured so often, by turns, for a machine's speed drifts. */
const TURNS = 2

/**
 * Downloads `file` over and over for `seconds` in all, by turns from Fastify as it is
 * and with the plugin. Rejects where the file cannot be read, a server cannot start,
 * or a body is not the file's.
 */
export async function compare (file: string, seconds: number): Promise<Comparison> {
  const size = sizeOf(file)
  const sha256 = await sha256Of(file)
  const certificate = makeCertificate()
  const contenders: Contender[] = []
  try {
    for (const plugin of [false, true]) contenders.push(await Contender.start({ certificate, file, plugin }))
    let download: Download | undefined
    // Warms up as well: connection, page cache, code.
    for (const contender of contenders) download = await verify(contender, sha256)
    const figures: Figures[][] = contenders.map(() => [])
    for (let turn = 0; turn < TURNS; turn++) {
      for (const [index, contender] of contenders.entries()) {
        figures[index]!.push(await measure(contender, seconds / TURNS / contenders.length))
      }
    }
    const [ordinary, plugin] = figures.map(addFigures)
    const { version, cipher } = download!
    return { file, size, version, cipher, ordinary: ordinary!, plugin: plugin! }
  } finally {
    for (const contender of contenders) contender.stop()
  }
}

/** Rejects unless the server sends the file, byte for byte. */
export async function verify (contender: Pick<Contender, 'download'>, sha256: string): Promise<Download> {
  const hash = createHash('sha256')
  const download = await contender.download(chunk => hash.update(chunk))
  if (hash.digest('hex') !== sha256) throw new Error('a body differs from the file; has it changed meanwhile?')
  return download
}

/** At least one download, and then as many as are begun within so many seconds. */
async function measure (contender: Contender, seconds: number): Promise<Figures> {
  const before = await contender.usage()
  const start = performance.now()
  const elapsed = () => (performance.now() - start) / 1000
  let bytes = 0
  do {
    bytes += (await contender.download()).size
  } while (elapsed() < seconds)
  const took = elapsed()
  const after = await contender.usage()
  return {
    bytes,
    seconds: took,
    cpuSeconds: (after.cpu - before.cpu) / 1e6,
    replies: after.replies - before.replies,
    offloaded: {
      kernel: after.offloaded.kernel - before.offloaded.kernel,
      threads: after.offloaded.threads - before.offloaded.threads
    }
  }
}
