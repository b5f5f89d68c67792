// What is known of a file's pages without waiting for its disk.
#ifndef FASTIFY_KTLS_KERNEL_PAGE_CACHE_H_
#define FASTIFY_KTLS_KERNEL_PAGE_CACHE_H_

#include <sys/uio.h>

#include <cstdint>

namespace fastify_ktls {

// All but the last ask about one byte at least, and say no where the kernel or the file system
// cannot tell: before Linux 6.5, on overlayfs and FUSE, and for the files of others,
// unless the process could write to them.

// Whether the bytes can be read without any work for the disk. A page can be in
// the cache and still wait to be filled: looked at are the first and the last.
bool IsCached(int file, int64_t offset, uint64_t length);

// Reads what needs no work for the disk, as preadv2 does; EOPNOTSUPP where the file
// system cannot tell.
ssize_t ReadWithoutWaiting(int file, const iovec* parts, int count, int64_t offset);

// Reads all the bytes if that needs no work for the disk.
bool ReadCached(int file, int64_t offset, void* bytes, uint64_t length);

// Reads all the bytes, however long that takes. False where it cannot, or where the file
// has not `size` bytes, of which a file server is asked anew; -1: however many it has.
bool ReadWhole(int file, int64_t offset, void* bytes, uint64_t length, int64_t size);

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_KERNEL_PAGE_CACHE_H_
