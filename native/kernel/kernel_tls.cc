#include "kernel/kernel_tls.h"

#include <linux/tcp.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>

#include "kernel/syscalls.h"

namespace fastify_ktls {

namespace {

// From include/linux/socket.h and include/uapi/linux/{tcp,tls}.h; repeated
// here because build machines with an old libc lack them.
constexpr int kSolTls = 282;
constexpr int kTcpUlp = 31;
constexpr int kTlsTx = 1;
constexpr int kTlsSetRecordType = 1;
constexpr int kTcpClose = 7;

// TCP waits for a full segment before it sends; with more than this it has some to send.
constexpr int kFewSegments = 4;

// MSG_NOSIGNAL: a connection that the peer has reset is an error, not SIGPIPE.
constexpr int kSendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;

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

int AttachUlp(int fd) {
  return sys.setsockopt(fd, IPPROTO_TCP, kTcpUlp, "tls", sizeof("tls")) == 0 ? 0 : -errno;
}

int EnableTransmit(int fd, const CryptoInfo& info) {
  return sys.setsockopt(fd, kSolTls, kTlsTx, info.data(), info.size()) == 0 ? 0 : -errno;
}

ssize_t SendData(int fd, const void* data, size_t length, bool more) {
  iovec part = {const_cast<void*>(data), length};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const ssize_t sent = sys.sendmsg(fd, &message, kSendFlags | (more ? MSG_MORE : 0));
  return sent >= 0 ? sent : -errno;
}

int SendControlRecord(int fd, uint8_t type, const void* data, size_t length) {
  iovec part = {const_cast<void*>(data), length};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(type))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = kSolTls;
  header->cmsg_type = kTlsSetRecordType;
  header->cmsg_len = CMSG_LEN(sizeof(type));
  memcpy(CMSG_DATA(header), &type, sizeof(type));
  return sys.sendmsg(fd, &message, kSendFlags) >= 0 ? 0 : -errno;
}

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

void Push(int fd) {
  int value = 0;
  socklen_t length = sizeof(value);
  if (sys.getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length) != 0) return;
  constexpr int kOn = 1;
  sys.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof(kOn));
  if (value == 0) sys.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value));
}

bool HoldsLittle(int fd) {
  int held = 0;
  int segment = 0;
  socklen_t length = sizeof(segment);
  return sys.unacknowledged(fd, &held) == 0 &&
         sys.getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, &length) == 0 &&
         held < kFewSegments * segment;
}

int64_t NextSequence(int fd, int version, const CipherSpec& cipher) {
  // The kernel copies the key out as well; CryptoInfo wipes it.
  CryptoInfo info(version, cipher);
  socklen_t length = info.size();
  if (sys.getsockopt(fd, kSolTls, kTlsTx, info.data(), &length) != 0) return -errno;
  return static_cast<int64_t>(info.sequence());
}

}  // namespace fastify_ktls
