// Follows server-side SSL objects from their creation: write secret, record
// count, bytes written. Public OpenSSL interface only.
#ifndef FASTIFY_KTLS_CONNECTION_SESSION_H_
#define FASTIFY_KTLS_CONNECTION_SESSION_H_

#include <memory>
#include <vector>

#include "openssl/keys.h"
#include "transmit/transmit_queue.h"

namespace fastify_ktls {

// What one SSL has told so far.
struct Session {
  SSL* ssl = nullptr;                    // null once OpenSSL has freed it
  TrafficSecret secret;                  // TLS 1.3: SERVER_TRAFFIC_SECRET_0
  uint64_t sequence = 0;                 // records written under the present key
  uint64_t bytes = 0;                    // bytes of all records ever written
  bool key_updated = false;              // by OpenSSL: `secret` is not the present one
  bool key_update_owed = false;          // the client has asked for it
  std::shared_ptr<TransmitQueue> queue;  // once promoted
};

// Has OpenSSL tell us of each SSL that this thread makes, until the thread's
// environment ends. False when OpenSSL is out of memory.
bool StartCapture();
void StopCapture();

// Follows the server-side SSLs that this thread has made since the last call.
// More than one when a listener of the user's made another in the same tick;
// the Finished message tells later which is which.
std::vector<std::shared_ptr<Session>> Claim();

// Forgets the SSLs made since the last call.
void Discard();

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_CONNECTION_SESSION_H_
