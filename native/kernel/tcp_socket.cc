#include "kernel/tcp_socket.h"

#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>

namespace fastify_ktls {

namespace {

// From include/net/tcp_states.h.
constexpr int kTcpClose = 7;

constexpr std::chrono::seconds kStallTimeout{30};

// With segmentation offload (man 8 ip-link, gso_max_size).
constexpr int64_t kLargestPacket = 65536;

constexpr int kRecord = 16384;

// TCP waits for a full segment before it sends; with more than this it has some to send.
constexpr int kFewSegments = 4;

// A connection that is over (reset, timed out) goes on answering with its last
// figures; only its state tells.
int64_t BytesAcknowledged(int fd) {
  tcp_info info = {};
  socklen_t length = sizeof(info);
  if (sys.getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return -errno;
  if (length < offsetof(tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
    return -EOPNOTSUPP;
  if (info.tcpi_state == kTcpClose) return -ENOTCONN;
  return static_cast<int64_t>(info.tcpi_bytes_acked);
}

}  // namespace

int64_t BytesInTcp(int fd) {
  // Three calls that see three moments: an ACK in between moves bytes from one
  // figure to the other, so the first must still stand after the second.
  constexpr int kAttempts = 8;
  int64_t acknowledged = BytesAcknowledged(fd);
  for (int i = 0; i < kAttempts && acknowledged >= 0; i++) {
    int queued = 0;
    if (sys.unacknowledged(fd, &queued) != 0) return -errno;
    const int64_t again = BytesAcknowledged(fd);
    if (again == acknowledged) return acknowledged + queued;
    acknowledged = again;
  }
  return acknowledged < 0 ? acknowledged : -EAGAIN;
}

bool HasSmallBuffer(int fd) {
  int bytes = 0;
  socklen_t length = sizeof(bytes);
  return sys.getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, &length) == 0 && bytes < kRecord;
}

ssize_t TcpSocket::Send(const iovec* parts, int count, int flags) const {
  msghdr message = {};
  message.msg_iov = const_cast<iovec*>(parts);
  message.msg_iovlen = static_cast<size_t>(count);
  // MSG_NOSIGNAL: a connection that the peer has reset is an error, not SIGPIPE.
  const ssize_t sent = sys.sendmsg(fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL | flags);
  return sent >= 0 ? sent : -errno;
}

int64_t TcpSocket::Room() const {
  uint32_t memory[SK_MEMINFO_VARS] = {};
  socklen_t length = sizeof(memory);
  if (sys.getsockopt(fd(), SOL_SOCKET, SO_MEMINFO, memory, &length) != 0) return -errno;
  const int64_t limit = memory[SK_MEMINFO_SNDBUF];
  const int64_t room = limit - memory[SK_MEMINFO_WMEM_QUEUED];
  if (room <= 0) return 0;
  // As long as there is any, TCP takes as much as it would send in one go.
  return limit < kLargestPacket ? kLargestPacket : room;
}

bool TcpSocket::IsWritable() const {
  pollfd socket = {fd(), POLLOUT, 0};
  return sys.poll(&socket, 1, 0) != 0;
}

bool TcpSocket::IsOver() const {
  pollfd socket = {fd(), 0, 0};
  return sys.poll(&socket, 1, 0) > 0 && (socket.revents & (POLLHUP | POLLERR)) == POLLHUP;
}

bool TcpSocket::HasStalled() {
  int error = 0;
  socklen_t length = sizeof(error);
  if (sys.getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error != 0) return true;
  const int64_t in_tcp = BytesInTcp(fd());
  const auto now = std::chrono::steady_clock::now();
  if (in_tcp != stalled_bytes_) {
    stalled_bytes_ = in_tcp;
    stalled_at_ = now + kStallTimeout;
  }
  return now >= stalled_at_;
}

void TcpSocket::Push() const {
  int value = 0;
  socklen_t length = sizeof(value);
  if (sys.getsockopt(fd(), IPPROTO_TCP, TCP_NODELAY, &value, &length) != 0) return;
  constexpr int kOn = 1;
  sys.setsockopt(fd(), IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof(kOn));
  if (value == 0) sys.setsockopt(fd(), IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value));
}

bool TcpSocket::HoldsLittle() const {
  int held = 0;
  int segment = 0;
  socklen_t length = sizeof(segment);
  return sys.unacknowledged(fd(), &held) == 0 &&
         sys.getsockopt(fd(), IPPROTO_TCP, TCP_MAXSEG, &segment, &length) == 0 &&
         held < kFewSegments * segment;
}

}  // namespace fastify_ktls
