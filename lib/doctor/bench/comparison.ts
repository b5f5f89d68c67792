import type { RatedFigures, TlsBackend } from './figures'

/** Who encrypts: a backend, or OpenSSL in the event loop of Fastify without the plugin. */
export type ContenderName = 'default' | TlsBackend

/** Why a backend cannot be measured here. */
export interface Unavailable {
  /** As `fastify.ktls.support.reason`. */
  readonly reason: string
  /** The reason in words. */
  readonly text: string
  /** What helps. */
  readonly remedy: string | null
}

/** Either has been measured, or cannot be: one of the two is null. */
export interface Result {
  readonly name: ContenderName
  readonly figures: RatedFigures | null
  readonly unavailable: Unavailable | null
}

/**
 * What `npx fastify-ktls bench --json` writes to stdout, as one object. Its names stay;
 * others may come.
 */
export interface Comparison {
  /** Of fastify-ktls. */
  readonly version: string
  /** As it was given; one that was made for the comparison is gone. */
  readonly file: string
  /** Bytes. */
  readonly size: number
  /** The time that was given, by `--seconds`. */
  readonly seconds: number
  /** Of the connections: "TLSv1.3". */
  readonly protocol: string
  /** Of the connections: the cipher suite's standard name. */
  readonly cipher: string
  /** One of each name: "default", "kernel", "threads". */
  readonly contenders: readonly Result[]
}
