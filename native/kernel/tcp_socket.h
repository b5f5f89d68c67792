// One TCP connection by a descriptor of our own: what TCP has, takes, and how it ends.
//
// Functions return 0 or a count when they succeed and a negative errno when they fail.
#ifndef FASTIFY_KTLS_KERNEL_TCP_SOCKET_H_
#define FASTIFY_KTLS_KERNEL_TCP_SOCKET_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernel/syscalls.h"

namespace fastify_ktls {

// Bytes that TCP has taken over for transmission since the connection was
// accepted: acknowledged ones and those in its send queue. -ENOTCONN when the
// connection is over, -EAGAIN when the figures would not stand still.
int64_t BytesInTcp(int fd);

// Whether TCP's send buffer has no room for a record of full size, as with SO_SNDBUF or
// tcp_wmem of some KiB.
bool HasSmallBuffer(int fd);

class TcpSocket {
 public:
  explicit TcpSocket(UniqueFd fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }
  void Close() { fd_.Reset(); }

  // Bytes taken, of both parts one after the other.
  ssize_t Send(const iovec* parts, int count, int flags) const;

  // Bytes that TCP would take now (man 7 sock_diag, SO_MEMINFO), but for a limit on what
  // is not sent yet (tcp_notsent_lowat).
  int64_t Room() const;

  // Whether the socket says that it would take something.
  bool IsWritable() const;
  // Whether TCP has ended both ways, with no error left to tell of it.
  bool IsOver() const;
  // Whether TCP has failed, or stood still for 30 seconds since this was first asked:
  // as long a destroyed connection may keep its descriptor for bytes that were
  // reported written and wait for room in TCP.
  bool HasStalled();

  // Has TCP send what it holds and waits to fill up (man 7 tcp, TCP_NODELAY: "an
  // explicit flush", even if corked). The connection's setting stays as it was.
  void Push() const;
  // Whether TCP holds so little that it may be waiting for more in place of sending.
  bool HoldsLittle() const;

 private:
  UniqueFd fd_;
  int64_t stalled_bytes_ = -1;                        // what TCP had when HasStalled() saw it move
  std::chrono::steady_clock::time_point stalled_at_;  // when it counts as stalled
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_KERNEL_TCP_SOCKET_H_
