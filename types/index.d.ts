/// <reference types="node" />

import type { Socket } from 'node:net'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** What this machine can do and what this instance has sent by which path. */
    ktls: fastifyKtls.FastifyKtls
  }

  interface FastifyRequest {
    /** By which path this request's reply goes, and why. */
    readonly ktls: fastifyKtls.ReplyDecision
  }

  interface FastifyContextConfig {
    /**
     * `false` keeps this route's files with Node's own streams.
     * @defaultValue `true`
     */
    ktls?: boolean
  }
}

declare namespace fastifyKtls {
  export interface FastifyKtlsOptions {
    /**
     * - `'auto'`: offload by the first of `backends` that can, else reply as
     *   without the plugin.
     * - `'require'`: registration fails with `FST_KTLS_UNAVAILABLE` where the
     *   kernel has no TLS, or the instance does not speak HTTP/1.1 over TLS. A
     *   single connection that the kernel cannot take still goes another way.
     * - `'off'`: do nothing.
     *
     * Anything else fails with `FST_KTLS_INVALID_OPTION`.
     * @defaultValue `'auto'`
     */
    mode?: Mode
    /**
     * Which backends may take a connection: of those with TLS the kernel is tried
     * first, in whatever order they are listed. A list that is empty or has another name fails with
     * `FST_KTLS_INVALID_OPTION`, as does one without `'kernel'` in mode `'require'`.
     * @defaultValue `['kernel', 'threads', 'plain']`
     */
    backends?: readonly Backend[]
    /**
     * A file reply with a body of fewer bytes is written by Node, in one go with
     * its head, and promotes no connection: an integer of 0 or more, else
     * registration fails with `FST_KTLS_INVALID_OPTION`.
     * @defaultValue `65536`, where both ways cost the same (docs/benchmark.md)
     */
    minSize?: number
  }

  export type Mode = 'auto' | 'require' | 'off'

  /**
   * Who sends for a promoted connection, off the event loop; with TLS, who seals its records:
   * - `'kernel'`: the kernel (Documentation/networking/tls.rst), which takes files
   *   from the page cache by `sendfile(2)`;
   * - `'threads'`: threads of this process, by OpenSSL's ciphers;
   * - `'plain'`: nobody, as the connection has no TLS: `sendfile(2)` alone.
   */
  export type Backend = 'kernel' | 'threads' | 'plain'

  export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

  export type Cipher = 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'

  /**
   * The way of a reply's bytes:
   * - `'file'`: the body from the page cache, sent by the connection's backend;
   * - `'write'`: written by Node, sealed by the connection's backend (TLS only);
   * - `'node'`: written by Node; over HTTPS sealed by OpenSSL in the event loop.
   */
  export type Path = 'file' | 'write' | 'node'

  /** Why this process cannot use the kernel's TLS; all but the last two rule out sender threads as well. */
  export type SupportReason =
    | 'off'
    | 'not-linux'
    | 'addon-missing'
    | 'openssl-missing'
    | 'kernel-module-missing'
    | 'kernel-refused'

  /** Why a reply did not go by path `'file'`. docs/reasons.md explains each. */
  export type FallbackReason =
    | SupportReason
    | 'route-opted-out'
    | 'plain-http'
    | 'tls'
    | 'http2'
    | 'inject'
    | 'not-captured'
    | 'unix-socket'
    | 'connection-closed'
    | 'version-not-offloadable'
    | 'cipher-not-offloadable'
    | 'cipher-refused'
    | 'max-fragment-length'
    | 'max-send-fragment'
    | 'trace-enabled'
    | 'key-updated'
    | 'key-derivation'
    | 'no-resources'
    | 'not-ready'
    | 'no-payload'
    | 'data'
    | 'stream'
    | 'web-stream'
    | 'payload-wrapped'
    | 'hijacked'
    | 'stream-in-use'
    | 'stream-modified'
    | 'stream-decoded'
    | 'stream-without-start'
    | 'custom-fs'
    | 'not-a-regular-file'
    | 'file-unreadable'
    | 'no-body'
    | 'response-modified'
    | 'trailers'
    | 'transfer-encoding'
    | 'headers-sent'
    | 'strict-content-length'
    | 'content-length-mismatch'
    | 'too-small'

  export interface Support {
    /**
     * The backends that this process can use: `[]` without the addon and in mode `'off'`.
     * The option `backends` may allow fewer of them.
     */
    readonly backends: readonly Backend[]
    /** Whether the kernel can seal records, of at least one TLS version and cipher. */
    readonly available: boolean
    /** Why the kernel cannot; `null` when available. */
    readonly reason: SupportReason | null
    /** The reason in words, with what to do about it; `null` when available. */
    readonly detail: string | null
    /** The kernel's release, as `uname -r` prints it. */
    readonly kernel: string
    /** Which ciphers the kernel took in the probe, by TLS version. */
    readonly versions: Readonly<Record<TlsVersion, Readonly<Record<Cipher, boolean>>>>
    /** Whether the kernel can change the transmit key (Linux 6.14 and later). */
    readonly rekey: boolean
  }

  export interface ReplyDecision {
    /** Whether the body goes past the event loop: a file, by path `'file'`, or data that a sender seals, by path `'write'`. */
    readonly offloaded: boolean
    /** `null` before the decision. */
    readonly path: Path | null
    /** Who sends the reply; `null` before the decision and with path `'node'`. */
    readonly backend: Backend | null
    /** The connection's TLS version; `null` before the decision and without TLS. */
    readonly version: string | null
    /** The connection's cipher suite by its standard name; `null` likewise. */
    readonly cipher: string | null
    /** `'pending'` before the decision, `null` when offloaded. */
    readonly reason: FallbackReason | 'pending' | null
  }

  export interface Stats {
    /**
     * Connections: ever accepted, ever promoted to each backend, open now. Only
     * where a backend can be used, like `bytes`: elsewhere connections are left alone.
     */
    readonly connections: { readonly seen: number, readonly promoted: Readonly<Record<Backend, number>>, readonly open: number }
    /**
     * Transmit keys of promoted connections: changed; due for a change that this
     * kernel or TLS 1.2 does not have, so that the connection was ended.
     */
    readonly keys: { readonly updated: number, readonly usedUp: number }
    /** Replies by path and backend. */
    readonly replies: PathCounts
    /** Bytes of plaintext by path and backend, of the connections seen; of `plain` a file's head is a write. */
    readonly bytes: PathCounts
    /** Replies that were not offloaded, by reason. */
    readonly fallbacks: Readonly<Partial<Record<FallbackReason, number>>>
    /** Of `fastify-ktls/static`; all 0 where it is not registered. */
    readonly files: FileFigures
    /** `null` without the addon and in mode `'off'`. */
    readonly senders: SenderFigures | null
    /** `null` where the kernel has none, as without the module `tls`. */
    readonly kernel: KernelCounters | null
  }

  /** By path, and where a backend sends, by backend. */
  export interface PathCounts {
    readonly file: Readonly<Record<Backend, number>>
    readonly write: Readonly<Record<Backend, number>>
    readonly node: number
  }

  /** The files that `fastify-ktls/static` keeps open. */
  export interface FileFigures {
    /** How many are open. */
    readonly open: number
    /** Requests that were answered from one, or from what is known not to be there. */
    readonly hits: number
    /** Requests that @fastify/static answered, by cause. */
    readonly misses: Readonly<Record<FileMiss, number>>
  }

  /**
   * - `'new'`: nothing is kept for this request: it was made the first or second time, its answer cannot be kept, or no descriptor is left.
   * - `'changed'`: something that the answer depends on has changed, or could not be looked at without waiting for a disk.
   * - `'request'`: its path and conditions are longer than 512 characters, the file has no such range, or a call has options that are not known.
   * - `'headers'`: a hook has set the status, or a header that @fastify/static sets too.
   */
  export type FileMiss = 'new' | 'changed' | 'request' | 'headers'

  /** The threads that send for promoted connections, of whichever backend, in the whole process. */
  export interface SenderFigures {
    /** How many run. */
    readonly threads: number
    /** Processor time that they have used since they started, in user and system mode. Seconds. */
    readonly cpuSeconds: number
    /** Connections that have something to send and wait for a thread to come to them. */
    readonly waiting: number
  }

  /**
   * The kernel's own counters, of all programs in this network namespace, since boot
   * (`/proc/net/tls_stat`; Documentation/networking/tls.rst, Statistics). `software`:
   * the kernel encrypts; `device`: the network card does.
   */
  export interface KernelCounters {
    /** Sockets with a transmit key now. */
    readonly open: { readonly software: number, readonly device: number }
    /** Sockets that were ever given a transmit key. */
    readonly promoted: { readonly software: number, readonly device: number }
    /** Changes of transmit keys; 0 on kernels that cannot change them. */
    readonly keys: { readonly updated: number, readonly failed: number }
  }

  /**
   * What the channels of `node:diagnostics_channel` publish, by name. Messages are
   * published synchronously; a subscriber must not end or change what it is shown.
   */
  export interface ChannelMessages {
    /** A backend seals what a connection sends from now on; without TLS, it has the connection's first file. */
    'fastify-ktls.connection.promoted': PromotedMessage
    /** A connection's transmit key was changed (RFC 8446 4.6.3). */
    'fastify-ktls.connection.rekeyed': ConnectionMessage
    /** A reply is not offloaded. */
    'fastify-ktls.reply.fallback': FallbackMessage
    /** A file is on its way to the connection's backend. */
    'fastify-ktls.transfer.started': TransferMessage
    /** The backend has taken all of the file. */
    'fastify-ktls.transfer.finished': TransferMessage
    /** The connection ends before the backend has taken all of the file. */
    'fastify-ktls.transfer.aborted': TransferAbortedMessage
  }

  export interface ConnectionMessage {
    /** A `TLSSocket`, or of the backend `plain` a socket without TLS. */
    readonly socket: Socket
  }

  export interface PromotedMessage extends ConnectionMessage {
    readonly backend: Backend
    /** `null` without TLS. */
    readonly version: TlsVersion | null
    /** The cipher suite by its standard name; `null` without TLS. */
    readonly cipher: string | null
  }

  export interface FallbackMessage {
    readonly request: FastifyRequest
    readonly path: Exclude<Path, 'file'>
    readonly reason: FallbackReason
  }

  export interface TransferMessage extends ConnectionMessage {
    readonly request: FastifyRequest
    readonly backend: Backend
    /** Where the body begins in the file, in bytes. */
    readonly offset: number
    /** Bytes of the body. */
    readonly length: number
  }

  export interface TransferAbortedMessage extends TransferMessage {
    /**
     * Bytes of the body that the backend is known to have taken. When the connection
     * ends during a system call, those of that call, 2 MiB at most, are not among them.
     */
    readonly sent: number
    /**
     * What the write failed with; `null` when the socket was destroyed meanwhile, `ERR_STREAM_DESTROYED` when
     * the file still waited behind other writes then.
     */
    readonly error: Error | null
  }

  export interface FastifyKtls {
    readonly support: Support
    /** A copy of the counters at this moment; reads one small file of `/proc`. */
    stats (): Stats
  }

  export const fastifyKtls: FastifyPluginAsync<FastifyKtlsOptions>
  export { fastifyKtls as default }
}

declare function fastifyKtls (...params: Parameters<FastifyPluginAsync<fastifyKtls.FastifyKtlsOptions>>): ReturnType<FastifyPluginAsync<fastifyKtls.FastifyKtlsOptions>>

export = fastifyKtls
