import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'

/** The port of 127.0.0.1, or any free one for 0. Throws if it cannot be had, before a guest is started in vain. */
export async function availablePort (wanted: number): Promise<number> {
  const server = createServer().listen(wanted, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch (error) {
    throw explainListening(wanted, error)
  }
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Why nothing can listen on the port of 127.0.0.1, and what helps. */
export function explainListening (port: number, error: unknown): Error {
  return new Error(explanation(port, error), { cause: error })
}

function explanation (port: number, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE') return `port ${port} of 127.0.0.1 is in use: end what listens there, or choose another with --port`
  if (code === 'EACCES') return `port ${port} may not be used without being root: choose one from 1024 on with --port`
  return `port ${port} of 127.0.0.1 cannot be used: ${String(error)}`
}
