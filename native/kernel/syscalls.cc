#include "kernel/syscalls.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

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

int64_t Cached(int fd, off_t offset, uint64_t length) {
  const CachestatRange range = {static_cast<uint64_t>(offset), length};
  Cachestat found = {};
  if (syscall(kCachestat, fd, &range, &found, 0) != 0) return -1;
  return static_cast<int64_t>(found.cache);
}

// From include/uapi/linux/fcntl.h, F_LINUX_SPECIFIC_BASE + 10.
constexpr int kGetSeals = 1034;

int Seals(int fd) { return fcntl(fd, kGetSeals); }

// These two without libc: musl has had statx since 1.2.4 and preadv2 since 1.2.5
// only. The kernel takes the offset in two halves, of which 64-bit systems use the
// first (man 2 preadv2).
ssize_t ReadVector(int fd, const struct iovec* parts, int count, off_t offset, int flags) {
  // Emulated kernels (QEMU's, for programs) have this one alone.
  if (flags == 0) return preadv(fd, parts, count, offset);
  constexpr int kHalf = sizeof(long) * 4;
  const auto high = static_cast<uint64_t>(offset) >> kHalf >> kHalf;
  return syscall(SYS_preadv2, fd, parts, count, static_cast<long>(offset), static_cast<long>(high),
                 flags);
}

int Statx(int fd, struct statx* found) {
  return static_cast<int>(
      syscall(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, found));
}

int64_t DeviceSockets() {
  const int fd = open("/proc/net/tls_stat", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  char text[2048];
  const ssize_t length = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (length < 0) return -1;
  text[length] = '\0';
  static constexpr char kRow[] = "TlsCurrTxDevice";
  const char* row = strstr(text, kRow);
  return row == nullptr ? -1 : strtoll(row + sizeof(kRow) - 1, nullptr, 10);
}

int Unacknowledged(int fd, int* bytes) { return ioctl(fd, SIOCOUTQ, bytes); }

}  // namespace

Syscalls sys = {
    ::setsockopt, ::getsockopt, ::sendmsg,      ::recv,      ::sendfile, ::shutdown,
    ::close,      Duplicate,    Unacknowledged, ::epoll_ctl, Cached,     Seals,
    ReadVector,   ::poll,       DeviceSockets,  Statx,
};

}  // namespace fastify_ktls
