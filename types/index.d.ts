/// <reference types="node" />

import type { TLSSocket } from 'node:tls'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** What the kernel can do and what this instance has sent by which path. */
    ktls: fastifyKtls.FastifyKtls
  }

  interface FastifyRequest {
    /** By which path this request's reply goes, and why. */
    readonly ktls: fastifyKtls.ReplyDecision
  }

  interface FastifyContextConfig {
    /**
     * `false` keeps this route's replies off `sendfile(2)`.
     * @defaultValue `true`
     */
    ktls?: boolean
  }
}

declare namespace fastifyKtls {
  export interface FastifyKtlsOptions {
    /**
     * - `'auto'`: offload where the kernel can, else reply as without the plugin.
     * - `'require'`: registration fails with `FST_KTLS_UNAVAILABLE` where the
     *   kernel cannot, or the instance does not speak HTTP/1.1 over TLS. A
     *   single connection that cannot be offloaded still falls back.
     * - `'off'`: do nothing.
     *
     * Anything else fails with `FST_KTLS_INVALID_OPTION`.
     * @defaultValue `'auto'`
     */
    mode?: Mode
    /**
     * A file reply with a body of fewer bytes is written by Node, in one go with
     * its head, and promotes no connection: an integer of 0 or more, else
     * registration fails with `FST_KTLS_INVALID_OPTION`.
     * @defaultValue `65536`, where both ways cost the same (README, Benchmark)
     */
    minSize?: number
  }

  export type Mode = 'auto' | 'require' | 'off'

  export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

  export type Cipher = 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'

  /**
   * The way of a reply's bytes:
   * - `'sendfile'`: the body from the page cache by `sendfile(2)`, encrypted by
   *   the kernel;
   * - `'write'`: written by Node, encrypted by the kernel;
   * - `'node'`: written by Node; over HTTPS encrypted by OpenSSL.
   */
  export type Path = 'sendfile' | 'write' | 'node'

  /** Why no connection of this process can be offloaded. */
  export type SupportReason =
    | 'off'
    | 'not-linux'
    | 'addon-missing'
    | 'openssl-missing'
    | 'kernel-module-missing'
    | 'kernel-refused'

  /** Why a reply did not go by `sendfile`. The README explains each. */
  export type FallbackReason =
    | SupportReason
    | 'route-opted-out'
    | 'plain-http'
    | 'http2'
    | 'inject'
    | 'not-captured'
    | 'unix-socket'
    | 'connection-closed'
    | 'version-not-offloadable'
    | 'cipher-not-offloadable'
    | 'max-fragment-length'
    | 'max-send-fragment'
    | 'trace-enabled'
    | 'key-updated'
    | 'key-derivation'
    | 'no-resources'
    | 'not-ready'
    | 'payload-not-a-file'
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
    /** Whether at least one TLS version and cipher can be offloaded. */
    readonly available: boolean
    /** Why not; `null` when available. */
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
    /** Whether the body goes by `sendfile`, encrypted by the kernel. */
    readonly offloaded: boolean
    /** `null` before the decision. */
    readonly path: Path | null
    /** The connection's TLS version; `null` before the decision and without TLS. */
    readonly version: string | null
    /** The connection's cipher suite by its standard name; `null` likewise. */
    readonly cipher: string | null
    /** `'pending'` before the decision, `null` when offloaded. */
    readonly reason: FallbackReason | 'pending' | null
  }

  export interface Stats {
    /**
     * TLS connections: ever accepted, ever promoted to the kernel, open now. Only where
     * kernel TLS is available, like `bytes`: elsewhere connections are left alone.
     */
    readonly connections: { readonly seen: number, readonly promoted: number, readonly open: number }
    /**
     * Transmit keys of promoted connections: changed in the kernel; due for a
     * change that this kernel cannot make, so that the connection was ended.
     */
    readonly keys: { readonly updated: number, readonly usedUp: number }
    /** Replies by path. */
    readonly replies: Readonly<Record<Path, number>>
    /** Bytes of plaintext by path, of the TLS connections seen. */
    readonly bytes: Readonly<Record<Path, number>>
    /** Replies that did not go by `sendfile`, by reason. */
    readonly fallbacks: Readonly<Partial<Record<FallbackReason, number>>>
    /** `null` where the kernel has none, as without the module `tls`. */
    readonly kernel: KernelCounters | null
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
    /** A connection's transmit side is in the kernel from now on. */
    'fastify-ktls.connection.promoted': PromotedMessage
    /** The kernel has changed a connection's transmit key (RFC 8446 4.6.3). */
    'fastify-ktls.connection.rekeyed': ConnectionMessage
    /** A reply does not go by `sendfile`. */
    'fastify-ktls.reply.fallback': FallbackMessage
    /** A file is on its way to the kernel. */
    'fastify-ktls.transfer.started': TransferMessage
    /** The kernel has taken all of the file. */
    'fastify-ktls.transfer.finished': TransferMessage
    /** The connection ends before the kernel has taken all of the file. */
    'fastify-ktls.transfer.aborted': TransferAbortedMessage
  }

  export interface ConnectionMessage {
    readonly socket: TLSSocket
  }

  export interface PromotedMessage extends ConnectionMessage {
    readonly version: TlsVersion
    /** The cipher suite by its standard name. */
    readonly cipher: string
  }

  export interface FallbackMessage {
    readonly request: FastifyRequest
    readonly path: Exclude<Path, 'sendfile'>
    readonly reason: FallbackReason
  }

  export interface TransferMessage extends ConnectionMessage {
    readonly request: FastifyRequest
    /** Where the body begins in the file, in bytes. */
    readonly offset: number
    /** Bytes of the body. */
    readonly length: number
  }

  export interface TransferAbortedMessage extends TransferMessage {
    /**
     * Bytes of the body that the kernel is known to have taken. When the connection
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
