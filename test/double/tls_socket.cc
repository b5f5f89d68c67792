#include "tls_socket.h"

#include <endian.h>
#include <linux/tls.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "records/record_layer.h"

namespace fastify_ktls_double {

using fastify_ktls::CipherSpec;
using fastify_ktls::kDataRecord;
using fastify_ktls::kMaxPlaintext;
using fastify_ktls::kNonceSize;

namespace {

constexpr int kSendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;

// KTLS_DOUBLE_SEND_LIMIT: plaintext bytes that one sendmsg or sendfile takes at
// most. A control record goes whole or not at all, as in the kernel. With a
// limit, the last record of a call is always held back and goes to TCP by way of
// the thread, as from a kernel whose cipher is asynchronous. And as there before Linux
// 6.18, a control record that comes after an open one loses its type.
size_t ReadSendLimit() {
  const char* value = getenv("KTLS_DOUBLE_SEND_LIMIT");
  const size_t limit = value == nullptr ? 0 : strtoull(value, nullptr, 10);
  return limit == 0 ? SIZE_MAX : limit;
}
const size_t send_limit = ReadSendLimit();
const bool limited = send_limit != SIZE_MAX;
// KTLS_DOUBLE_REKEY: a second key is taken.
const bool can_rekey = getenv("KTLS_DOUBLE_REKEY") != nullptr;
// KTLS_DOUBLE_WITHOUT: the number of a cipher (linux/tls.h) that this kernel lacks.
const int cipher_lacking = [] {
  const char* value = getenv("KTLS_DOUBLE_WITHOUT");
  return value == nullptr ? -1 : atoi(value);
}();
// How late the thread is then: a shutdown() that does not wait comes first.
constexpr useconds_t kThreadDelay = 1000;

// Pushes held-back bytes when a socket has room again.
class Pusher {
 public:
  static Pusher& Instance() {
    static Pusher* const pusher = new Pusher();
    return *pusher;
  }

  void Watch(int fd, ino_t inode) {
    epoll_event event = {};
    event.events = EPOLLOUT | EPOLLONESHOT;
    event.data.u64 = inode;
    if (::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) != 0 &&
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0)
      abort();
  }
  void Forget(int fd) { ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

 private:
  Pusher() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    if (epoll_ < 0 || pthread_create(&thread, nullptr, Run, this) != 0) abort();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_detach(thread);
  }

  static void* Run(void* self) {
    epoll_event event;
    for (;;) {
      if (epoll_wait(static_cast<Pusher*>(self)->epoll_, &event, 1, -1) != 1) continue;
      // A reset makes no write space; its errno is for whoever reads or sends.
      if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) continue;
      if (const auto socket = sockets.Find(event.data.u64)) {
        if (limited) usleep(kThreadDelay);
        std::lock_guard<std::mutex> lock(socket->mutex);
        socket->Push();
      }
    }
  }

  const int epoll_;
};

}  // namespace

int Fail(int error) {
  errno = error;
  return -1;
}

// Never destroyed: threads may still run while the process exits.
SocketTable& sockets = *new SocketTable();

// struct tls12_crypto_info_*: version, cipher, iv, key, salt, rec_seq.
int TlsSocket::SetKey(const void* info, socklen_t length) {
  // Until kernel 6.14, which can rekey.
  if (has_key() && !can_rekey) return Fail(EBUSY);
  tls_crypto_info header;
  if (length < sizeof(header)) return Fail(EINVAL);
  memcpy(&header, info, sizeof(header));
  // As crypto_alloc_aead() where no module has the cipher.
  if (header.cipher_type == cipher_lacking) return Fail(ENOENT);
  for (const CipherSpec& cipher : fastify_ktls::kCiphers) {
    if (cipher.kernel_id != header.cipher_type) continue;
    if (length != sizeof(header) + kNonceSize + cipher.key_size + sizeof(uint64_t)) break;
    info_.Resize(length);
    memcpy(info_.data(), info, length);
    const uint8_t* in = info_.data() + sizeof(header);
    fastify_ktls::TrafficKey key;
    memcpy(key.iv.data() + cipher.salt_size, in, cipher.iv_size);
    in += cipher.iv_size;
    memcpy(key.key.data(), in, cipher.key_size);
    in += cipher.key_size;
    memcpy(key.iv.data(), in, cipher.salt_size);
    in += cipher.salt_size;
    memcpy(&key.sequence, in, sizeof(key.sequence));
    key.sequence = be64toh(key.sequence);
    sealer_ = fastify_ktls::Sealer::New(header.version, cipher, key);
    return has_key() ? 0 : Fail(ENOMEM);
  }
  return Fail(EINVAL);
}

int TlsSocket::GetKey(void* info, socklen_t* length) const {
  if (!has_key()) return Fail(EBUSY);
  if (*length != info_.size()) return Fail(EINVAL);
  const uint64_t next = htobe64(sealer_->sequence());
  const size_t before = info_.size() - sizeof(next);
  memcpy(info, info_.data(), before);
  memcpy(static_cast<uint8_t*>(info) + before, &next, sizeof(next));
  return 0;
}

bool TlsSocket::Push() {
  size_t sent = 0;
  while (error_ == 0 && !closed_ && sent < held_.size()) {
    const ssize_t count = ::send(fd_, held_.data() + sent, held_.size() - sent, kSendFlags);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      Pusher::Instance().Watch(fd_, inode_);
      break;
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
  held_.erase(held_.begin(), held_.begin() + static_cast<ptrdiff_t>(sent));
  return error_ == 0 && held_.empty();
}

void TlsSocket::SealOpenRecord(uint8_t type) {
  if (open_.empty()) return;
  const size_t start = held_.size();
  held_.resize(start + sealer_->head_size() + open_.size() + sealer_->tail_size());
  memcpy(held_.data() + start + sealer_->head_size(), open_.data(), open_.size());
  if (sealer_->Seal(held_.data() + start, type, open_.size()) == 0) abort();
  open_.clear();
}

// Fills the open record, sealing each one that is full, for as long as TCP has
// taken all that came before.
size_t TlsSocket::Add(const uint8_t* bytes, size_t length, uint8_t type) {
  size_t taken = 0;
  while (taken < length && Push()) {
    const size_t count = std::min(length - taken, kMaxPlaintext - open_.size());
    open_.insert(open_.end(), bytes + taken, bytes + taken + count);
    taken += count;
    if (open_.size() == kMaxPlaintext) SealOpenRecord(type);
  }
  return taken;
}

void TlsSocket::EndCall() {
  if (!limited) {
    Push();
  } else if (!held_.empty() && error_ == 0) {
    Pusher::Instance().Watch(fd_, inode_);
  }
}

ssize_t TlsSocket::Send(const msghdr& message, int flags) {
  uint8_t type = kDataRecord;
  size_t limit = send_limit;
  if (const cmsghdr* header = CMSG_FIRSTHDR(&message)) {
    if (header->cmsg_level != kSolTls || header->cmsg_type != TLS_SET_RECORD_TYPE ||
        header->cmsg_len < CMSG_LEN(sizeof(type)) || (flags & MSG_MORE) != 0)
      return Fail(EINVAL);
    if (!limited || open_.empty()) memcpy(&type, CMSG_DATA(header), sizeof(type));
    limit = SIZE_MAX;
    SealOpenRecord(kDataRecord);
  }
  size_t taken = 0;
  bool cut = false;
  for (size_t i = 0; i < message.msg_iovlen && !cut; i++) {
    const iovec& part = message.msg_iov[i];
    const size_t count = Add(static_cast<const uint8_t*>(part.iov_base),
                             std::min(part.iov_len, limit - taken), type);
    taken += count;
    cut = count < part.iov_len;
  }
  if (taken > 0 && (flags & MSG_MORE) == 0) SealOpenRecord(type);
  EndCall();
  if (taken == 0 && cut) return Fail(error_ != 0 ? error_ : EAGAIN);
  return static_cast<ssize_t>(taken);
}

ssize_t TlsSocket::SendFile(int in, off_t* offset, size_t count) {
  uint8_t bytes[kMaxPlaintext];
  const size_t wanted = std::min(count, send_limit);
  size_t taken = 0;
  while (taken < wanted && Push()) {
    const ssize_t got =
        pread(in, bytes, std::min(wanted - taken, kMaxPlaintext - open_.size()), *offset);
    if (got < 0 && taken == 0) return -1;
    if (got <= 0) {
      SealOpenRecord(kDataRecord);  // splice_eof
      EndCall();
      return static_cast<ssize_t>(taken);
    }
    *offset += got;
    taken += Add(bytes, static_cast<size_t>(got), kDataRecord);
  }
  // A short count leaves the record open, since splice still has MSG_MORE set.
  if (taken == count) SealOpenRecord(kDataRecord);
  EndCall();
  if (taken == 0 && count > 0) return Fail(error_ != 0 ? error_ : EAGAIN);
  return static_cast<ssize_t>(taken);
}

void TlsSocket::Drop() {
  open_.clear();
  held_.clear();
}

// tls_sk_proto_close: one last try that does not wait, the rest is lost.
void TlsSocket::Close() {
  Push();
  Drop();
  closed_ = true;
  Pusher::Instance().Forget(fd_);
}

}  // namespace fastify_ktls_double
