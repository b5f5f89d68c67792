// The end of a connection whose client may still be sending: closing a socket with
// bytes unread, or that more come for, resets the connection, and what TCP has not
// delivered by then is lost. So the server half-closes, then reads and drops, until
// the client closes or is known to have all (RFC 9112 9.6).
#ifndef FASTIFY_KTLS_TRANSMIT_LINGERING_H_
#define FASTIFY_KTLS_TRANSMIT_LINGERING_H_

#include <chrono>

namespace fastify_ktls {

class Lingering {
 public:
  using Clock = std::chrono::steady_clock;

  Lingering() = default;
  Lingering(const Lingering&) = delete;
  Lingering& operator=(const Lingering&) = delete;
  ~Lingering() { End(); }

  // The client has not sent all of its request.
  void ExpectMore() { expects_more_ = true; }

  // Drops what has come. Whether the socket has to be kept open: at most 30 seconds
  // from the first call, and 5 without a byte, as nginx does (lingering_time,
  // lingering_timeout), and no longer than it takes a client that sends nothing to
  // acknowledge all. Beyond a number of connections at a time none is kept.
  bool Continues(int fd);

  // When to ask again, should the client send nothing before.
  Clock::time_point next_look() const { return next_look_; }

 private:
  bool Begin(Clock::time_point now);
  bool End();

  bool lingers_ = false;
  bool expects_more_ = false;
  Clock::time_point end_;
  Clock::time_point silent_end_;
  Clock::time_point next_look_;
  std::chrono::milliseconds backoff_{0};
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_TRANSMIT_LINGERING_H_
