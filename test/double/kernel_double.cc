// Stands in for the kernel's TLS transmit (net/tls/tls_main.c, tls_sw.c) behind
// the table of native/syscalls.h: seals records in user space with the key that
// the addon derived and sends them over the real TCP socket. A client that can
// decrypt them proves capture, counting, derivation and ordering.
//
// As in the kernel, a call may take bytes whose record fits only partly into
// TCP. The rest is held back here. A thread of the double hands it over when
// the socket has room, in place of the kernel's work queue, and every later
// send does so before anything else. shutdown() and close() drop it.
//
// Unlike the kernel: what is held back goes with the descriptor that attached
// the ULP, though another one of the same socket may still be open; calls never
// block; a call may take up to one record more than there is room for.
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernel/syscalls.h"
#include "record_sealer.h"

namespace fastify_ktls_double {

namespace {

constexpr int kSolTls = 282;
constexpr int kTcpUlp = 31;
constexpr size_t kMaxPlaintext = 16384;
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

int Fail(int error) {
  errno = error;
  return -1;
}

// The state that a ULP adds to a socket. Guarded by its mutex.
class TlsSocket {
 public:
  TlsSocket(int fd, ino_t inode) : fd_(fd), inode_(inode) {}

  std::mutex mutex;

  int fd() const { return fd_; }
  bool has_key() const { return sealer_ != nullptr; }

  int SetKey(const void* info, socklen_t length);
  int GetKey(void* info, socklen_t* length) const;
  ssize_t Send(const msghdr& message, int flags);
  ssize_t SendFile(int in, off_t* offset, size_t count);
  // Hands to TCP what it takes; false when something stays or has failed.
  bool Push();
  void Drop();
  void Close();
  bool has_error() const { return error_ != 0; }
  int TakeError() { return std::exchange(error_, 0); }

 private:
  size_t Add(const uint8_t* bytes, size_t length, uint8_t type);
  void EndCall();
  void SealOpenRecord(uint8_t type);

  const int fd_;  // attached the ULP; the state goes with it
  const ino_t inode_;
  bool closed_ = false;
  std::unique_ptr<RecordSealer> sealer_;
  std::vector<uint8_t> open_;  // plaintext of the record that MSG_MORE left open
  std::vector<uint8_t> held_;  // sealed, not in TCP
  int error_ = 0;              // sk_err
};

// The sockets by inode, which all descriptors of a socket share.
class SocketTable {
 public:
  std::shared_ptr<TlsSocket> Find(ino_t inode) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = sockets_.find(inode);
    return found == sockets_.end() ? nullptr : found->second;
  }
  bool Add(int fd, ino_t inode) {
    std::lock_guard<std::mutex> lock(mutex_);
    return sockets_.emplace(inode, std::make_shared<TlsSocket>(fd, inode)).second;
  }
  void Remove(ino_t inode) {
    std::lock_guard<std::mutex> lock(mutex_);
    sockets_.erase(inode);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<ino_t, std::shared_ptr<TlsSocket>> sockets_;
};

// Never destroyed: threads may still run while the process exits.
SocketTable& sockets = *new SocketTable();

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

int TlsSocket::SetKey(const void* info, socklen_t length) {
  // Until kernel 6.14, which can rekey.
  if (has_key() && !can_rekey) return Fail(EBUSY);
  // As crypto_alloc_aead() where no module has the cipher.
  if (static_cast<const tls_crypto_info*>(info)->cipher_type == cipher_lacking) return Fail(ENOENT);
  sealer_ = RecordSealer::Create(info, length);
  return has_key() ? 0 : -1;
}

int TlsSocket::GetKey(void* info, socklen_t* length) const {
  return has_key() ? sealer_->Export(info, length) : Fail(EBUSY);
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
  sealer_->Seal(type, open_, &held_);
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

ino_t InodeOf(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) ? status.st_ino : 0;
}

std::shared_ptr<TlsSocket> Find(int fd) { return sockets.Find(InodeOf(fd)); }

int AttachUlp(int fd, const void* name, socklen_t length) {
  if (strncmp(static_cast<const char*>(name), "tls", length) != 0) return Fail(ENOENT);
  if (Find(fd)) return Fail(EEXIST);
  tcp_info info = {};
  socklen_t size = sizeof(info);
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return -1;
  if (info.tcpi_state != TCP_ESTABLISHED) return Fail(ENOTCONN);
  return sockets.Add(fd, InodeOf(fd)) ? 0 : Fail(EEXIST);
}

int SetOption(int fd, int level, int name, const void* value, socklen_t length) {
  if (level == IPPROTO_TCP && name == kTcpUlp) return AttachUlp(fd, value, length);
  const auto socket = level == kSolTls ? Find(fd) : nullptr;
  if (!socket) return ::setsockopt(fd, level, name, value, length);
  if (name != TLS_TX) return Fail(ENOPROTOOPT);
  std::lock_guard<std::mutex> lock(socket->mutex);
  return socket->SetKey(value, length);
}

int GetOption(int fd, int level, int name, void* value, socklen_t* length) {
  const auto socket = level == kSolTls || level == SOL_SOCKET ? Find(fd) : nullptr;
  if (!socket || (level == SOL_SOCKET && name != SO_ERROR))
    return ::getsockopt(fd, level, name, value, length);
  std::lock_guard<std::mutex> lock(socket->mutex);
  if (level == kSolTls) return name == TLS_TX ? socket->GetKey(value, length) : Fail(ENOPROTOOPT);
  if (::getsockopt(fd, level, name, value, length) != 0) return -1;
  auto* error = static_cast<int*>(value);
  if (*error == 0) *error = socket->TakeError();
  return 0;
}

ssize_t SendMessage(int fd, const msghdr* message, int flags) {
  const auto socket = Find(fd);
  if (!socket) return ::sendmsg(fd, message, flags);
  std::lock_guard<std::mutex> lock(socket->mutex);
  return socket->has_key() ? socket->Send(*message, flags) : ::sendmsg(fd, message, flags);
}

ssize_t SendFile(int out, int in, off_t* offset, size_t count) {
  const auto socket = Find(out);
  if (!socket) return ::sendfile(out, in, offset, count);
  std::lock_guard<std::mutex> lock(socket->mutex);
  return socket->has_key() ? socket->SendFile(in, offset, count)
                           : ::sendfile(out, in, offset, count);
}

// tls_err_abort: what handing on has met stays the socket's error.
int Poll(pollfd* polled, nfds_t count, int timeout) {
  const int ready = ::poll(polled, count, timeout);
  if (ready <= 0) return ready;
  for (pollfd* each = polled; each < polled + count; each++) {
    const auto socket = Find(each->fd);
    if (!socket) continue;
    std::lock_guard<std::mutex> lock(socket->mutex);
    if (socket->has_error()) each->revents |= POLLERR;
  }
  return ready;
}

int ShutDown(int fd, int how) {
  if (const auto socket = Find(fd); socket && how != SHUT_RD) {
    std::lock_guard<std::mutex> lock(socket->mutex);
    socket->Drop();
  }
  return ::shutdown(fd, how);
}

int Close(int fd) {
  const ino_t inode = InodeOf(fd);
  const auto socket = sockets.Find(inode);
  if (socket && socket->fd() == fd) {
    sockets.Remove(inode);
    std::lock_guard<std::mutex> lock(socket->mutex);
    socket->Close();
  }
  return ::close(fd);
}

bool Install() {
  fastify_ktls::Syscalls& sys = fastify_ktls::sys;
  sys.setsockopt = SetOption;
  sys.getsockopt = GetOption;
  sys.sendmsg = SendMessage;
  sys.sendfile = SendFile;
  sys.poll = Poll;
  sys.shutdown = ShutDown;
  sys.close = Close;
  return true;
}

[[maybe_unused]] const bool installed = Install();

}  // namespace

}  // namespace fastify_ktls_double
