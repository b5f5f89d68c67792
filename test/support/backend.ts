import type { FastifyInstance } from 'fastify'
import type { Backend, Path, Stats, Support } from '../../types/index'

const BACKENDS: readonly Backend[] = ['kernel', 'threads', 'plain']

/** The backend under test. Set by run/backend, also for the processes that a test starts. */
export const BACKEND: Backend = named(process.env.KTLS_TEST_BACKEND ?? 'kernel')

/** Whether the servers of tests have TLS, and their clients. */
export const SECURE = BACKEND !== 'plain'

/** How a reply goes that Node writes on a connection that has sent a file: without TLS it is Node's again. */
export const AFTER_FILE: Exclude<Path, 'file'> = SECURE ? 'write' : 'node'

/** Options that allow no other, so that no test passes by another backend than it means. */
export const ONLY: { readonly backends: readonly Backend[] } = { backends: [BACKEND] }

function named (name: string): Backend {
  const backend = BACKENDS.find(backend => backend === name)
  if (backend === undefined) throw new Error(`KTLS_TEST_BACKEND is "${name}"; accepted is one of ${BACKENDS.join(', ')}`)
  return backend
}

/** {@link Stats}, of one backend. */
export interface BackendStats extends Pick<Stats, 'keys' | 'fallbacks' | 'kernel'> {
  readonly connections: { readonly seen: number, readonly open: number, readonly promoted: number }
  readonly replies: Readonly<Record<Path, number>>
  readonly bytes: Readonly<Record<Path, number>>
}

/** What an instance has counted under the backend under test; throws if there is anything under another one. */
export function statsOf ({ ktls }: Pick<FastifyInstance, 'ktls'>): BackendStats {
  const { connections, replies, bytes, keys, fallbacks, kernel } = ktls.stats()
  const byPath = ({ file, write, node }: Stats['replies'] | Stats['bytes']) => ({ file: ofBackend(file), write: ofBackend(write), node })
  return {
    connections: { ...connections, promoted: ofBackend(connections.promoted) },
    replies: byPath(replies),
    bytes: byPath(bytes),
    keys,
    fallbacks,
    kernel
  }
}

function ofBackend (counts: Readonly<Record<Backend, number>>): number {
  const { [BACKEND]: count, ...others } = counts
  for (const [name, other] of Object.entries(others)) {
    if (other !== 0) throw new Error(`${other} counted under ${name}, and ${BACKEND} is under test`)
  }
  return count
}

/** Whether the backend under test can change the key of a connection: only kernels may not (before Linux 6.14). */
export function canRekey ({ ktls }: { readonly ktls: { readonly support: Pick<Support, 'rekey'> } }): boolean {
  return BACKEND !== 'kernel' || ktls.support.rekey
}
