// The system calls of the transmit path, behind one table.
//
// Every call here can return short, EAGAIN or an error at the worst moment. A
// test replaces entries to make that happen, or to stand in for a kernel
// without kernel TLS (test/double).
#ifndef FASTIFY_KTLS_KERNEL_SYSCALLS_H_
#define FASTIFY_KTLS_KERNEL_SYSCALLS_H_

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace fastify_ktls {

struct Syscalls {
  int (*setsockopt)(int fd, int level, int name, const void* value, socklen_t length);
  int (*getsockopt)(int fd, int level, int name, void* value, socklen_t* length);
  ssize_t (*sendmsg)(int fd, const msghdr* message, int flags);
  ssize_t (*recv)(int fd, void* bytes, size_t length, int flags);
  ssize_t (*sendfile)(int out, int in, off_t* offset, size_t count);
  int (*shutdown)(int fd, int how);
  int (*close)(int fd);
  // F_DUPFD_CLOEXEC: a plain dup would leak the connection into child processes.
  int (*duplicate)(int fd);
  // SIOCOUTQ: bytes in the TCP send queue that the peer has not acknowledged.
  int (*unacknowledged)(int fd, int* bytes);
  int (*epoll_ctl)(int epoll, int operation, int fd, epoll_event* event);
  // cachestat (Linux 6.5): how many pages of a range are in the page cache.
  int64_t (*cached)(int fd, off_t offset, uint64_t length);
  // F_GET_SEALS (man 2 fcntl): negative but for files that lie in memory.
  int (*seals)(int fd);
  ssize_t (*preadv2)(int fd, const iovec* parts, int count, off_t offset, int flags);
  int (*poll)(pollfd* sockets, nfds_t count, int timeout);
  // TlsCurrTxDevice of /proc/net/tls_stat (Documentation/networking/tls.rst): sockets
  // of this network namespace for which a network card encrypts. -1: nobody can tell.
  int64_t (*device_sockets)();
  // statx (man 2 statx), of an open file and without asking a server for news.
  int (*statx)(int fd, struct statx* found);
};

extern Syscalls sys;

// Owns one file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(std::exchange(other.fd_, -1));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void Reset(int fd = -1) {
    if (fd_ >= 0) sys.close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_KERNEL_SYSCALLS_H_
