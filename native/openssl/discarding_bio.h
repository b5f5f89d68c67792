// What OpenSSL still wants to write once the kernel owns the transmit side.
#ifndef FASTIFY_KTLS_OPENSSL_DISCARDING_BIO_H_
#define FASTIFY_KTLS_OPENSSL_DISCARDING_BIO_H_

#include "openssl/openssl.h"

namespace fastify_ktls {

// A write BIO that takes every byte and drops it: what OpenSSL seals now is
// under a key and sequence that the kernel has moved past. Null when out of
// memory.
BIO* NewDiscardingBio();

// Puts `bio` in front of the present write BIO, which stays alive below it
// because TLSWrap goes on holding a pointer to it. Cannot fail.
void DiscardWrites(SSL* ssl, BIO* bio);

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_OPENSSL_DISCARDING_BIO_H_
