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

// MSG_NOSIGNAL: a connection that the peer has reset is an error, not SIGPIPE.
constexpr int kSendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;

}  // namespace

CryptoInfo::CryptoInfo(int version, const CipherSpec& cipher) {
  const uint16_t header[2] = {static_cast<uint16_t>(version), cipher.kernel_id};
  static_assert(sizeof(header) == kHeaderSize);
  memcpy(bytes_.data(), header, sizeof(header));
  bytes_.Resize(kHeaderSize + kNonceSize + cipher.key_size + kRecordSequenceSize);
}

CryptoInfo::CryptoInfo(int version, const CipherSpec& cipher, const TrafficKey& key)
    : CryptoInfo(version, cipher) {
  uint8_t* out = bytes_.data() + kHeaderSize;
  memcpy(out, key.iv.data() + cipher.salt_size, cipher.iv_size);
  out += cipher.iv_size;
  memcpy(out, key.key.data(), cipher.key_size);
  out += cipher.key_size;
  memcpy(out, key.iv.data(), cipher.salt_size);
  out += cipher.salt_size;
  uint64_t sequence = key.sequence;
  for (size_t i = kRecordSequenceSize; i-- > 0; sequence >>= 8)
    out[i] = static_cast<uint8_t>(sequence);
}

uint64_t CryptoInfo::sequence() const {
  uint64_t sequence = 0;
  const uint8_t* in = bytes_.data() + bytes_.size() - kRecordSequenceSize;
  for (size_t i = 0; i < kRecordSequenceSize; i++) sequence = sequence << 8 | in[i];
  return sequence;
}

int AttachUlp(int fd) {
  return sys.setsockopt(fd, IPPROTO_TCP, kTcpUlp, "tls", sizeof("tls")) == 0 ? 0 : -errno;
}

int EnableTransmit(int fd, const CryptoInfo& info) {
  return sys.setsockopt(fd, kSolTls, kTlsTx, info.data(), info.size()) == 0 ? 0 : -errno;
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

int64_t NextSequence(int fd, int version, const CipherSpec& cipher) {
  // The kernel copies the key out as well; CryptoInfo wipes it.
  CryptoInfo info(version, cipher);
  socklen_t length = info.size();
  if (sys.getsockopt(fd, kSolTls, kTlsTx, info.data(), &length) != 0) return -errno;
  return static_cast<int64_t>(info.sequence());
}

}  // namespace fastify_ktls
