// Whether a connection may switch its transmit side to the kernel now, and the
// switch.
#ifndef FASTIFY_KTLS_CONNECTION_PROMOTION_H_
#define FASTIFY_KTLS_CONNECTION_PROMOTION_H_

#include <memory>

#include "connection/session.h"

namespace fastify_ktls {

struct Promotion {
  std::shared_ptr<TransmitQueue> queue;  // null when refused
  const char* refusal = nullptr;         // a reason of types/index.d.ts, or "not-ready"
  Outcome cause;                         // the system call behind the refusal, if one was
};

// `fd` is the connection's descriptor, from which the queue gets a duplicate.
// `rekey`: whether the kernel can change the key of TLS 1.3; the secret is kept
// for that alone. "not-ready" means that OpenSSL or libuv still has bytes to
// write.
Promotion Promote(Session* session, int fd, bool rekey, std::shared_ptr<TransmitListener> listener);

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_CONNECTION_PROMOTION_H_
