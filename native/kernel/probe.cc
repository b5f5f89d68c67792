#include "kernel/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "kernel/kernel_tls.h"
#include "kernel/syscalls.h"

namespace fastify_ktls {

namespace {

using Clock = std::chrono::steady_clock;

// Of all connections together. The application waits for them to start, and a connect() that a
// firewall leaves unanswered is retried for two minutes (man 7 tcp, tcp_syn_retries).
constexpr std::chrono::seconds kPatience{1};

// Waits for a connection that was begun without blocking. On failure see errno.
bool AwaitConnection(int fd, Clock::time_point deadline) {
  pollfd wanted = {fd, POLLOUT, 0};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    const int ready = poll(&wanted, 1, std::max(0, static_cast<int>(left.count())));
    if (ready > 0) break;
    if (ready == 0) errno = ETIMEDOUT;
    if (errno != EINTR) return false;
  }
  int error = 0;
  socklen_t length = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return false;
  errno = error;
  return error == 0;
}

// An established loopback connection; TLS_TX can be set once on each.
class LoopbackPair {
 public:
  // Null on success, else the name of the call that failed; see errno.
  const char* Open(Clock::time_point deadline) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* name = reinterpret_cast<sockaddr*>(&address);

    listener_.Reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    client_.Reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener_ || !client_) return "socket";
    if (bind(listener_.get(), name, length) != 0) return "bind";
    if (getsockname(listener_.get(), name, &length) != 0) return "getsockname";
    if (listen(listener_.get(), 1) != 0) return "listen";
    // Done at once, as the backlog has room and nothing else knows the port, unless somebody
    // drops packets of the loopback interface.
    if (connect(client_.get(), name, length) == 0) return nullptr;
    if (errno == EINPROGRESS && AwaitConnection(client_.get(), deadline)) return nullptr;
    return "connect";
  }
  int fd() const { return client_.get(); }

 private:
  UniqueFd listener_;  // closing it would reset the connection that waits in it
  UniqueFd client_;
};

}  // namespace

ProbeResult Probe() {
  const TrafficKey any_key;
  const Clock::time_point deadline = Clock::now() + kPatience;
  ProbeResult result;
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    int* errors = version == TLS1_2_VERSION ? result.tls12 : result.tls13;
    for (int i = 0; i < kCipherCount; i++) {
      LoopbackPair pair;
      result.failed_call = pair.Open(deadline);
      if (result.failed_call != nullptr) {
        result.failed_errno = errno;
        return result;
      }
      if (const int error = AttachUlp(pair.fd()); error != 0) {
        result.failed_call = "setsockopt TCP_ULP";
        result.failed_errno = -error;
        return result;
      }
      const CryptoInfo info(version, kCiphers[i], any_key);
      errors[i] = -EnableTransmit(pair.fd(), info);
      // Without the record sequence (ChaCha20 on some old kernels) nobody could
      // tell when a connection may be closed. And gVisor says that it has taken each
      // option above, as all that it does not know, and would send plaintext: only
      // reading the key back fails (pkg/sentry/socket/netstack, SetSockOpt).
      if (errors[i] == 0 && NextSequence(pair.fd(), version, kCiphers[i]) != 0)
        errors[i] = EOPNOTSUPP;
      // TLS 1.2 never changes keys; one cipher of TLS 1.3 speaks for all.
      if (version == TLS1_3_VERSION && errors[i] == 0)
        result.rekey = EnableTransmit(pair.fd(), info) == 0;
    }
  }
  return result;
}

}  // namespace fastify_ktls
