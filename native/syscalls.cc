#include "syscalls.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>

#include <cstdint>

namespace fastify_ktls {

namespace {

int Duplicate(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }

// From include/uapi/linux/mman.h; the same number on all architectures.
constexpr long kCachestat = 451;
struct CachestatRange {
  uint64_t offset, length;
};
struct Cachestat {
  uint64_t cache, dirty, writeback, evicted, recently_evicted;
};

int Cached(int fd, off_t offset) {
  const CachestatRange range = {static_cast<uint64_t>(offset), 1};
  Cachestat found = {};
  if (syscall(kCachestat, fd, &range, &found, 0) != 0) return -1;
  return static_cast<int>(found.cache);
}

int Unacknowledged(int fd, int* bytes) { return ioctl(fd, SIOCOUTQ, bytes); }

}  // namespace

Syscalls sys = {
    ::setsockopt, ::getsockopt,   ::sendmsg,   ::sendfile, ::shutdown, ::close,
    Duplicate,    Unacknowledged, ::epoll_ctl, Cached,     ::preadv2,
};

}  // namespace fastify_ktls
