// Stands in for the kernel's TLS transmit behind the table of native/kernel/syscalls.h:
// seals records by the sealer of the sender threads, with the key that the addon gave
// the kernel, and sends them over the real TCP socket. It stays for what only a kernel
// does: takes bytes that TCP has not, holds records back, loses a record's type, refuses
// a second key.
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>

#include "kernel/syscalls.h"
#include "tls_socket.h"

namespace fastify_ktls_double {

namespace {

constexpr int kTcpUlp = 31;

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
