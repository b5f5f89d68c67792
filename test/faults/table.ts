/*
 * Each call of the addon's tables with what it can answer, and what must become of a
 * connection then; by the backend under test.
 */
import type { Backend, FallbackReason } from '../../types/index'
import { BACKEND } from '../support/backend'
import type { Account } from './server'
import type { Effect, Fault, Point } from './injector'

export interface Row {
  readonly point: Point
  readonly effects: readonly Effect[]
  /** What the client gets: everything, an early end that does not look like one of its own, or one of these. */
  readonly outcome: 'whole' | 'cut' | 'either'
  readonly fallback?: FallbackReason
  /** Of a connection that is cut before all bodies are there: that a close_notify is not sent, nobody hears. */
  readonly told?: Account['told']
  /** How many calls in turn; one unless given. Infinity: each one, from the first. */
  readonly times?: number
  /** Which calls of a connection's; all unless given. */
  readonly only?: 'first' | 'later'
  /** Taken for the end of the connection, so that records held back are lost with their close_notify. */
  readonly endsDrain?: true
  /** What brings the calls about. */
  readonly base?: readonly Fault[]
  /** The connection's version; TLS 1.3 unless given. */
  readonly version?: 'TLSv1.2'
}

/** What takes the bytes of a file to the socket. */
const SENDS: Point = BACKEND === 'threads' ? 'sendmsg of data' : 'sendfile'

/** The socket takes no more, twice: the first wait registers it, the second one finds it registered. */
const BLOCKED: readonly Fault[] = [
  { point: SENDS, effect: 'half', call: 1 },
  { point: SENDS, effect: 'EAGAIN', call: 2 },
  { point: SENDS, effect: 'half', call: 3 },
  { point: SENDS, effect: 'EAGAIN', call: 4 }
]

/** The kernel says that the page is there, also one that cannot tell. */
const CACHED: readonly Fault[] = [{ point: 'cachestat', effect: 'at most 1', call: 1, times: Infinity }]

/** And all pages that are asked for. */
const ALL_CACHED: readonly Fault[] = [{ point: 'cachestat', effect: 'at most 1000000', call: 1, times: Infinity }]

/** No page is there: another thread than the sender waits for the disk. */
const COLD: readonly Fault[] = [{ point: 'cachestat', effect: 'at most 0', call: 1, times: Infinity }]

const OF_ANY_BACKEND: readonly Row[] = [
  // A kernel before 4.2 gives fewer bytes.
  { point: 'getsockopt TCP_INFO', effects: ['EACCES', 'EPERM', 'at most 100'], outcome: 'whole' },
  { point: 'getsockopt TCP_INFO', effects: ['gone'], outcome: 'whole', endsDrain: true },
  { point: 'SIOCOUTQ', effects: ['EINVAL', 'EACCES'], outcome: 'whole' },
  { point: 'poll', effects: ['ENOMEM'], base: COLD, outcome: 'whole' },
  // ENOSPC: user.max_user_watches.
  { point: 'epoll_ctl', effects: ['ENOMEM', 'ENOSPC'], base: BLOCKED, outcome: 'whole' },
  { point: 'epoll_ctl', effects: ['ENOSPC'], times: Infinity, base: BLOCKED, outcome: 'whole' },
  { point: 'shutdown', effects: ['ENOTCONN'], outcome: 'whole' },
  { point: 'recv', effects: ['EAGAIN', 'EINTR', 'ECONNRESET', 'EFAULT'], outcome: 'whole' },
  { point: 'recv', effects: ['EAGAIN', 'ENOSYS'], times: Infinity, outcome: 'whole' },
  // Whatever close returns, the descriptor is gone.
  { point: 'close', effects: ['EINTR', 'EIO'], outcome: 'whole' },
  { point: 'close', effects: ['EINTR'], times: Infinity, outcome: 'whole' },
  // An old kernel, a container, no page: then the file is read for good.
  { point: 'cachestat', effects: ['ENOSYS', 'EPERM', 'at most 0'], outcome: 'whole' },
  { point: 'cachestat', effects: ['ENOSYS'], times: Infinity, outcome: 'whole' },
  // The page is gone again, the file system cannot tell, the disk is bad.
  { point: 'preadv2', effects: ['EAGAIN', 'EOPNOTSUPP', 'ENOSYS', 'EIO'], base: CACHED, outcome: 'whole' },
  { point: 'preadv2', effects: ['EAGAIN'], times: Infinity, base: CACHED, outcome: 'whole' },
  // The disk is bad, or the file was cut: it is left to Node.
  { point: 'preadv2 that waits', effects: ['EIO', 'ENOSYS', 'at most 0'], base: COLD, outcome: 'whole', fallback: 'file-unreadable' },
  // A seccomp filter.
  { point: 'statx', effects: ['ENOSYS', 'EPERM'], outcome: 'whole', fallback: 'not-a-regular-file' },
  { point: 'duplicate', effects: ['EMFILE', 'ENOMEM'], outcome: 'whole', fallback: 'no-resources' },
  { point: 'duplicate', effects: ['EMFILE'], times: Infinity, outcome: 'whole', fallback: 'no-resources' }
]

/** What a promotion asks. */
const OF_TLS: readonly Row[] = [
  { point: 'getsockopt TCP_INFO', effects: ['EACCES', 'at most 100', 'gone'], times: Infinity, outcome: 'whole', fallback: 'not-ready' },
  { point: 'SIOCOUTQ', effects: ['EINVAL'], times: Infinity, outcome: 'whole', fallback: 'not-ready' },
  // OpenSSL is out of memory, or its provider refuses.
  { point: 'EVP_KDF_fetch', effects: ['refused'], outcome: 'whole', fallback: 'key-derivation' },
  { point: 'EVP_KDF_CTX_new', effects: ['refused'], outcome: 'whole', fallback: 'key-derivation' },
  { point: 'EVP_KDF_derive', effects: ['refused'], outcome: 'whole', fallback: 'key-derivation' },
  { point: 'EVP_KDF_derive', effects: ['refused'], outcome: 'whole', fallback: 'key-derivation', version: 'TLSv1.2' },
  { point: 'RAND_bytes', effects: ['refused'], outcome: 'whole', fallback: 'key-derivation', version: 'TLSv1.2' },
  { point: 'BIO_new', effects: ['refused'], outcome: 'whole', fallback: 'no-resources' }
]

const OF_THE_KERNEL: readonly Row[] = [
  // __tcp_set_ulp, tls_init; EPERM and EACCES are what BPF and the security modules answer.
  { point: 'setsockopt TCP_ULP', effects: ['ENOENT', 'EEXIST', 'EPERM', 'ENOMEM'], outcome: 'whole', fallback: 'kernel-refused' },
  // The client has gone, or ended its side.
  { point: 'setsockopt TCP_ULP', effects: ['ENOTCONN'], outcome: 'whole', fallback: 'connection-closed' },
  { point: 'setsockopt TCP_ULP', effects: ['ENOENT'], times: Infinity, outcome: 'whole', fallback: 'kernel-refused' },
  // do_tls_setsockopt_conf, crypto_alloc_aead.
  { point: 'setsockopt TLS_TX', effects: ['EBUSY', 'EINVAL', 'ENOMEM', 'ENOENT', 'EPERM'], outcome: 'whole', fallback: 'kernel-refused' },
  { point: 'setsockopt TLS_TX', effects: ['EINVAL'], times: Infinity, outcome: 'whole', fallback: 'kernel-refused' },
  { point: 'getsockopt TLS_TX', effects: ['EBUSY', 'EINVAL', 'EPERM'], outcome: 'whole' },
  { point: 'getsockopt TLS_TX', effects: ['EINVAL'], times: Infinity, outcome: 'whole', endsDrain: true },
  // EINTR: tls_sw_sendmsg waits for its lock. EBADMSG: the cipher failed.
  { point: 'sendmsg of data', effects: ['at most 1', 'half', 'EAGAIN', 'EINTR'], outcome: 'whole' },
  { point: 'sendmsg of data', effects: ['at most 1', 'EAGAIN', 'EINTR'], times: 3, outcome: 'whole' },
  { point: 'sendmsg of data', effects: ['EPIPE', 'ECONNRESET', 'ETIMEDOUT', 'ENOMEM', 'EBADMSG', 'EIO'], outcome: 'cut', told: ['clientError'] },
  { point: 'sendmsg of data', effects: ['EPIPE'], times: Infinity, outcome: 'cut', told: ['clientError'] },
  { point: 'sendmsg of a record', effects: ['EAGAIN', 'EINTR'], outcome: 'whole' },
  { point: 'sendmsg of a record', effects: ['EAGAIN', 'EINTR'], times: 3, outcome: 'whole' },
  // As Node: nobody hears that a close_notify was not sent.
  { point: 'sendmsg of a record', effects: ['EPIPE', 'ECONNRESET', 'ENOMEM', 'EIO'], outcome: 'cut' }
]

/** sendfile(2), by the kernel and without TLS. */
const OF_SENDFILE: readonly Row[] = [
  { point: 'sendfile', effects: ['at most 1', 'half', 'EAGAIN', 'EINTR'], outcome: 'whole' },
  { point: 'sendfile', effects: ['at most 1', 'EAGAIN', 'EINTR'], times: 3, outcome: 'whole' },
  // The socket's errors are the client's affair, the others the file's.
  { point: 'sendfile', effects: ['EPIPE', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH'], outcome: 'cut', told: ['clientError'] },
  { point: 'sendfile', effects: ['at most 0', 'EIO', 'ENOMEM'], outcome: 'cut', told: ['log', 'clientError'] },
  { point: 'sendfile', effects: ['at most 1', 'half', 'EAGAIN', 'EINTR'], base: COLD, outcome: 'whole' },
  { point: 'sendfile', effects: ['EPIPE'], base: COLD, outcome: 'cut', told: ['clientError'] },
  { point: 'sendfile', effects: ['at most 0', 'EIO'], base: COLD, outcome: 'cut', told: ['log', 'clientError'] }
]

/** Without TLS. */
const OF_PLAIN: readonly Row[] = [
  { point: 'sendmsg of data', effects: ['at most 1', 'half', 'EAGAIN', 'EINTR'], outcome: 'whole' },
  { point: 'sendmsg of data', effects: ['at most 1', 'EAGAIN', 'EINTR'], times: 3, outcome: 'whole' },
  { point: 'sendmsg of data', effects: ['EPIPE', 'ECONNRESET', 'ETIMEDOUT', 'ENOMEM', 'EIO'], outcome: 'cut', told: ['clientError'] },
  { point: 'sendmsg of data', effects: ['EPIPE'], times: Infinity, outcome: 'cut', told: ['clientError'] }
]

const OF_THE_THREADS: readonly Row[] = [
  // Without it one record at a time is sealed.
  { point: 'getsockopt SO_MEMINFO', effects: ['ENOPROTOOPT', 'EPERM'], outcome: 'whole' },
  { point: 'getsockopt SO_MEMINFO', effects: ['ENOPROTOOPT'], times: Infinity, outcome: 'whole' },
  { point: 'sendmsg of data', effects: ['at most 1', 'half', 'EAGAIN', 'EINTR'], outcome: 'whole' },
  { point: 'sendmsg of data', effects: ['at most 1', 'half', 'EAGAIN', 'EINTR'], times: 3, outcome: 'whole' },
  { point: 'sendmsg of data', effects: ['EPIPE', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENOMEM', 'ENOBUFS', 'EIO'], outcome: 'cut', told: ['clientError'] },
  { point: 'sendmsg of data', effects: ['EPIPE'], times: Infinity, outcome: 'cut', told: ['clientError'] },
  { point: 'sendmsg of data', effects: ['half', 'EAGAIN'], base: COLD, outcome: 'whole' },
  { point: 'sendmsg of data', effects: ['ECONNRESET'], base: COLD, outcome: 'cut', told: ['clientError'] },
  // A page is gone again, or the file system has no RWF_NOWAIT: a thread that may wait brings it in.
  { point: 'preadv2 of a piece', effects: ['at most 1', 'half', 'EAGAIN', 'EOPNOTSUPP', 'ENOSYS', 'EINTR'], base: ALL_CACHED, outcome: 'whole' },
  { point: 'preadv2 of a piece', effects: ['at most 1', 'half', 'EAGAIN', 'EOPNOTSUPP', 'EINTR'], times: 3, base: ALL_CACHED, outcome: 'whole' },
  // The disk is bad, or the file was cut.
  { point: 'preadv2 of a piece', effects: ['EIO', 'ENOMEM', 'at most 0'], base: ALL_CACHED, outcome: 'cut', told: ['log', 'clientError'] },
  { point: 'preadv2 of a piece that waits', effects: ['at most 1', 'half', 'EINTR'], base: COLD, outcome: 'whole' },
  { point: 'preadv2 of a piece that waits', effects: ['at most 1', 'half', 'EINTR'], times: 3, base: COLD, outcome: 'whole' },
  // What has been brought in before is sent, and more of it asked for once again.
  { point: 'preadv2 of a piece that waits', effects: ['EIO', 'ENOMEM', 'EAGAIN', 'at most 0'], base: COLD, outcome: 'either', told: ['log', 'clientError'] },
  { point: 'preadv2 of a piece that waits', effects: ['EIO', 'EAGAIN'], times: Infinity, base: COLD, outcome: 'cut', told: ['log', 'clientError'] },
  { point: 'EVP_CIPHER_CTX_new', effects: ['refused'], outcome: 'whole', fallback: 'cipher-refused' },
  // The key first, then a nonce for each record.
  { point: 'EVP_EncryptInit_ex', effects: ['refused'], only: 'first', outcome: 'whole', fallback: 'cipher-refused' },
  { point: 'EVP_EncryptInit_ex', effects: ['refused'], only: 'later', outcome: 'cut', told: ['log', 'clientError'] },
  { point: 'EVP_EncryptUpdate', effects: ['refused'], outcome: 'cut', told: ['log', 'clientError'] },
  { point: 'EVP_EncryptUpdate', effects: ['refused'], version: 'TLSv1.2', outcome: 'cut', told: ['log', 'clientError'] },
  { point: 'EVP_EncryptFinal_ex', effects: ['refused'], outcome: 'cut', told: ['log', 'clientError'] },
  { point: 'EVP_CIPHER_CTX_ctrl', effects: ['refused'], outcome: 'cut', told: ['log', 'clientError'] },
  { point: 'EVP_CIPHER_CTX_ctrl', effects: ['refused'], times: Infinity, outcome: 'cut', told: ['log', 'clientError'] },
  { point: 'EVP_CIPHER_CTX_ctrl', effects: ['refused'], base: COLD, outcome: 'cut', told: ['log', 'clientError'] }
]

const OWN: Readonly<Record<Backend, readonly Row[]>> = {
  kernel: [...OF_TLS, ...OF_THE_KERNEL, ...OF_SENDFILE],
  threads: [...OF_TLS, ...OF_THE_THREADS],
  plain: [...OF_PLAIN, ...OF_SENDFILE]
}

export const ROWS = [...OF_ANY_BACKEND, ...OWN[BACKEND]]
