import { closeSync, openSync, readSync } from 'node:fs'
import type { Contender, Session } from './contender'
import { OutOfTime } from './time'

/**
 * Compares what the server sends with the file, byte for byte, until the signal is aborted,
 * which a large file may not be whole by. Rejects where they differ.
 */
export async function verify (contender: Pick<Contender, 'download'>, path: string, signal: AbortSignal): Promise<Session> {
  const fd = openSync(path, 'r')
  try {
    const differs = () => new Error('a body differs from the file; has it changed meanwhile?')
    let position = 0
    const { session, whole } = await contender.download(signal, chunk => {
      const expected = Buffer.alloc(chunk.length)
      const read = readSync(fd, expected, 0, chunk.length, position)
      if (read !== chunk.length || !expected.equals(chunk)) throw differs()
      position += read
    })
    if (whole && readSync(fd, Buffer.alloc(1), 0, 1, position) > 0) throw differs()
    if (session === null || position === 0) throw new OutOfTime('a server had sent anything')
    return session
  } finally {
    closeSync(fd)
  }
}
