// Whether the transmit side of a connection may leave OpenSSL now, for which backend,
// and the switch; and the same without TLS.
#ifndef FASTIFY_KTLS_CONNECTION_PROMOTION_H_
#define FASTIFY_KTLS_CONNECTION_PROMOTION_H_

#include <memory>

#include "connection/session.h"

namespace fastify_ktls {

// What may seal a connection's records.
struct Backends {
  bool kernel;   // tried first
  bool rekey;    // the kernel can change the key of TLS 1.3
  bool threads;  // where the kernel is not to be used, or refuses
};

struct Promotion {
  std::shared_ptr<TransmitQueue> queue;  // null when refused
  const char* refusal = nullptr;         // a FallbackReason of types/index.d.ts
  Outcome cause;  // the system call behind the refusal, or behind that of the kernel
};

// `fd` is the connection's descriptor, from which the queue gets a duplicate. The
// refusal "not-ready" means that OpenSSL or libuv still has bytes to write.
Promotion Promote(Session* session, int fd, Backends backends,
                  std::shared_ptr<TransmitListener> listener);

// A connection without TLS, TCP's or a Unix socket. That nobody else has anything to
// write to it is for the caller to know.
Promotion PromotePlain(int fd, std::shared_ptr<TransmitListener> listener);

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_CONNECTION_PROMOTION_H_
