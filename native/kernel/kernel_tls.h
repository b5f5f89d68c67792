// What we ask of the kernel for one TCP socket (Documentation/networking/tls.rst).
//
// Functions return 0 or a count when they succeed and a negative errno when
// they fail.
#ifndef FASTIFY_KTLS_KERNEL_KERNEL_TLS_H_
#define FASTIFY_KTLS_KERNEL_KERNEL_TLS_H_

#include <cstddef>
#include <cstdint>

#include "openssl/keys.h"

namespace fastify_ktls {

// Record content types (RFC 8446 B.1).
inline constexpr uint8_t kAlertRecord = 21;
inline constexpr uint8_t kHandshakeRecord = 22;

// Loads the ULP "tls" onto an established connection. ENOENT: no module.
int AttachUlp(int fd);

// Gives the kernel the write key; from here on it seals all that is sent. Again
// for each further key, on kernels that can rekey (EBUSY: this one cannot).
int EnableTransmit(int fd, const CryptoInfo& info);

// Sends application data; with `more` the record stays open for what follows.
// May take less than `length`.
ssize_t SendData(int fd, const void* data, size_t length, bool more);

// Sends one record of another content type, whole or not at all.
int SendControlRecord(int fd, uint8_t type, const void* data, size_t length);

// Bytes that TCP has taken over for transmission since the connection was
// accepted: acknowledged ones and those in its send queue. -ENOTCONN when the
// connection is over, -EAGAIN when the figures would not stand still.
int64_t BytesInTcp(int fd);

// Has TCP send what it holds and waits to fill up (man 7 tcp, TCP_NODELAY: "an
// explicit flush", even if corked). The connection's setting stays as it was.
void Push(int fd);

// Whether TCP holds so little that it may be waiting for more in place of sending.
bool HoldsLittle(int fd);

// The sequence number of the next record that the kernel will seal.
int64_t NextSequence(int fd, int version, const CipherSpec& cipher);

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_KERNEL_KERNEL_TLS_H_
