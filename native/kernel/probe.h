// Finds out what the running kernel can do, on loopback connections of its own.
#ifndef FASTIFY_KTLS_KERNEL_PROBE_H_
#define FASTIFY_KTLS_KERNEL_PROBE_H_

#include "openssl/keys.h"

namespace fastify_ktls {

struct ProbeResult {
  // The call that ended the probe early, or null, and its errno.
  const char* failed_call = nullptr;
  int failed_errno = 0;
  // errno of TLS_TX for each cipher, 0 where the kernel took it.
  int tls12[kCipherCount] = {};
  int tls13[kCipherCount] = {};
  bool rekey = false;  // TLS 1.3: takes a second key
};

// Waits a second at most: then the call is "connect" and the errno ETIMEDOUT.
ProbeResult Probe();

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_KERNEL_PROBE_H_
