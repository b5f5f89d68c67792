import type { Backend } from '../types/index'

/** How a reply's bytes go: who writes the body, and who seals the records. */
export type Way =
  | { readonly path: 'file', readonly backend: Backend }
  | { readonly path: 'write', readonly backend: Backend }
  | { readonly path: 'node', readonly backend: null }

export const BY_NODE = { path: 'node', backend: null } as const satisfies Way
