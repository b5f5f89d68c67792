/** What is asked of each server, over one connection, one request after the other. */
export interface Workload {
  readonly name: string
  readonly path: string
  /** First and last byte, the last one inclusive; the whole without it. */
  readonly range?: readonly [first: number, last: number]
  /** Bytes of body. */
  readonly size: number
  /** Requests before the first sample. */
  readonly warmUp: number
  /** Requests that make one sample. */
  readonly requests: number
  /** Whether the connection gets a file first, so that the plugin has promoted it. */
  readonly afterFile?: true
}

/** The smallest goes the ordinary way with the plugin too, for which the general warm-up does nothing. */
export const FILES = [
  { name: '1 KB', size: 1024, warmUp: 2000, requests: 20 },
  { name: '16 KB', size: 16 * 1024, warmUp: 100, requests: 20 },
  { name: '64 KB', size: 64 * 1024, warmUp: 50, requests: 10 },
  { name: '100 KB', size: 100 * 1024, warmUp: 50, requests: 10 },
  { name: '1 MB', size: 1 << 20, warmUp: 10, requests: 4 },
  { name: '10 MB', size: 10 << 20, warmUp: 4, requests: 4 }
] as const

/** Sent by each server for `/json`. */
export const JSON_BODY = '{"hello":"world"}'

const LARGE = FILES.at(-1)!

export function fileName (size: number): string {
  return `${size}.bin`
}

export const WORKLOADS: readonly Workload[] = [
  ...FILES.map(file => ({ ...file, path: `/${fileName(file.size)}` })),
  { name: '1 MB of 10 MB', path: `/${fileName(LARGE.size)}`, range: [3_000_000, 4_048_575], size: 1 << 20, warmUp: 10, requests: 4 },
  { name: 'JSON', path: '/json', size: JSON_BODY.length, warmUp: 2000, requests: 50 },
  { name: 'JSON after a file', path: '/json', size: JSON_BODY.length, warmUp: 2000, requests: 50, afterFile: true }
]

/** What every server is warmed up with: the compilers of JavaScript are done after some thousand requests. */
export const WARM_UP = { path: `/${fileName(16 * 1024)}`, requests: 1500 }
