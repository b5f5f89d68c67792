#include "kernel/page_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "kernel/syscalls.h"

namespace fastify_ktls {

namespace {

const int64_t kPage = sysconf(_SC_PAGESIZE);

// To be asked before RWF_NOWAIT, which would have pages that are not there read
// ahead, by this thread.
bool HasPages(int file, int64_t offset, uint64_t length) {
  const int64_t last = offset + static_cast<int64_t>(length) - 1;
  return sys.cached(file, offset, length) >= last / kPage - offset / kPage + 1;
}

// What stat(2) would tell, by a call that older libraries have (see syscalls.cc).
int64_t SizeNow(int file) {
  struct statx found = {};
  if (syscall(SYS_statx, file, "", AT_EMPTY_PATH, STATX_SIZE, &found) != 0) return -1;
  return static_cast<int64_t>(found.stx_size);
}

bool ReadNow(int file, int64_t offset, void* bytes, uint64_t length) {
  const iovec part = {bytes, length};
  return ReadWithoutWaiting(file, &part, 1, offset) == static_cast<ssize_t>(length);
}

}  // namespace

// tmpfs lacks RWF_NOWAIT; what it has in the page cache needs no reading. Emulated
// kernels lack preadv2 itself.
ssize_t ReadWithoutWaiting(int file, const iovec* parts, int count, int64_t offset) {
  const ssize_t got = sys.preadv2(file, parts, count, offset, RWF_NOWAIT);
  if (got >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS)) return got;
  if (sys.seals(file) >= 0) return sys.preadv2(file, parts, count, offset, 0);
  errno = EOPNOTSUPP;
  return -1;
}

bool IsCached(int file, int64_t offset, uint64_t length) {
  uint8_t byte;
  return HasPages(file, offset, length) && ReadNow(file, offset, &byte, 1) &&
         (length == 1 || ReadNow(file, offset + static_cast<int64_t>(length) - 1, &byte, 1));
}

bool ReadCached(int file, int64_t offset, void* bytes, uint64_t length) {
  return HasPages(file, offset, length) && ReadNow(file, offset, bytes, length);
}

bool ReadWhole(int file, int64_t offset, void* bytes, uint64_t length, int64_t size) {
  if (size >= 0 && SizeNow(file) != size) return false;
  const iovec part = {bytes, length};
  return sys.preadv2(file, &part, 1, offset, 0) == static_cast<ssize_t>(length);
}

}  // namespace fastify_ktls
