// What tells one state of a file or folder from any other, without waiting for a disk.
#ifndef FASTIFY_KTLS_KERNEL_FILE_IDENTITY_H_
#define FASTIFY_KTLS_KERNEL_FILE_IDENTITY_H_

#include <cstdint>
#include <vector>

namespace fastify_ktls {

// Of what does not exist, all is 0. Times are in nanoseconds since 1970; the kernel's
// clock for them may stand still for some milliseconds (before Linux 6.13 it ticks, man 2
// stat), so that two changes within one tick cannot be told apart.
struct FileIdentity {
  int64_t device;
  int64_t inode;
  int64_t mode;
  int64_t size;
  int64_t modified;  // the content, of a folder its entries
  int64_t changed;   // the content, or owner, permissions, links
};

// Of what each path names now, links resolved anew; the last one is that of a file. 0, also where
// one does not exist, or a negative errno: -EAGAIN where a disk would have to be asked
// (RESOLVE_CACHED, Linux 5.12; man 2 openat2), -ENOSYS or -EINVAL where the kernel cannot
// be asked so.
int IdentitiesOf(const std::vector<const char*>& paths, FileIdentity* identities);

// Whether these are still the identities of what the paths name; false also where that cannot be
// told.
bool AreUnchanged(const std::vector<const char*>& paths, const FileIdentity* identities);

// Of an open file. 0 or a negative errno.
int IdentityOfFile(int file, FileIdentity* identity);

// Whether all that exists lies on file systems of this machine alone, whose times are
// believed: ext4, XFS, Btrfs, F2FS, tmpfs, and overlayfs, which has them of others. May wait
// where the paths have not just been identified.
bool AreOnLocalFileSystems(const std::vector<const char*>& paths);

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_KERNEL_FILE_IDENTITY_H_
