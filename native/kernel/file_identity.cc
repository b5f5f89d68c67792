#include "kernel/file_identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/syscalls.h"

namespace fastify_ktls {

namespace {

// From include/uapi/linux/openat2.h, which old headers lack; the call has the same
// number on all architectures.
constexpr long kOpenat2 = 437;
constexpr uint64_t kResolveCached = 0x20;
struct OpenHow {
  uint64_t flags, mode, resolve;
};

int64_t Nanoseconds(const statx_timestamp& time) {
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

FileIdentity From(const struct statx& found) {
  return {static_cast<int64_t>(found.stx_dev_major) << 32 | found.stx_dev_minor,
          static_cast<int64_t>(found.stx_ino),
          found.stx_mode,
          static_cast<int64_t>(found.stx_size),
          Nanoseconds(found.stx_mtime),
          Nanoseconds(found.stx_ctime)};
}

// What the path names, if the kernel knows that without a disk; else none, and errno: ENOENT
// where it knows that this is nothing.
UniqueFd OpenCached(const char* path) {
  const OpenHow how = {O_PATH | O_CLOEXEC, 0, kResolveCached};
  UniqueFd file(static_cast<int>(syscall(kOpenat2, AT_FDCWD, path, &how, sizeof(how))));
  if (!file && errno == ENOTDIR) errno = ENOENT;
  return file;
}

// Whether `path` is resolved on the way to `file`.
bool LeadsTo(const char* path, const char* file) {
  const size_t length = strlen(path);
  if (strncmp(path, file, length) != 0) return false;
  return file[length] == '\0' || file[length] == '/' || path[length - 1] == '/';
}

// Of what is on the way to what has just been opened. 0 or a negative errno.
int IdentityOnTheWay(const char* path, FileIdentity* identity) {
  struct statx found = {};
  if (syscall(SYS_statx, AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &found) != 0)
    return -errno;
  *identity = From(found);
  return 0;
}

bool IsLocal(const struct statfs& found) {
  // From include/uapi/linux/magic.h.
  switch (static_cast<uint32_t>(found.f_type)) {
    case 0xEF53:      // ext2, ext3, ext4
    case 0x58465342:  // XFS
    case 0x9123683E:  // Btrfs
    case 0xF2F52010:  // F2FS
    case 0x01021994:  // tmpfs
    case 0x794C7630:  // overlayfs
      return true;
    default:
      return false;
  }
}

}  // namespace

int IdentitiesOf(const std::vector<const char*>& paths, FileIdentity* identities) {
  const char* const file = paths.back();
  const UniqueFd opened = OpenCached(file);
  if (!opened && errno != ENOENT) return -errno;
  for (size_t i = 0; i < paths.size(); i++) {
    int error = 0;
    if (opened && i == paths.size() - 1) {
      error = IdentityOfFile(opened.get(), &identities[i]);
    } else if (opened && LeadsTo(paths[i], file)) {
      error = IdentityOnTheWay(paths[i], &identities[i]);
    } else if (const UniqueFd other = OpenCached(paths[i]); other) {
      error = IdentityOfFile(other.get(), &identities[i]);
    } else if (errno == ENOENT) {
      identities[i] = {};
    } else {
      error = -errno;
    }
    if (error != 0) return error;
  }
  return 0;
}

bool AreUnchanged(const std::vector<const char*>& paths, const FileIdentity* identities) {
  std::vector<FileIdentity> found(paths.size());
  return IdentitiesOf(paths, found.data()) == 0 &&
         memcmp(found.data(), identities, found.size() * sizeof(FileIdentity)) == 0;
}

int IdentityOfFile(int file, FileIdentity* identity) {
  struct statx found = {};
  if (sys.statx(file, &found) != 0) return -errno;
  *identity = From(found);
  return 0;
}

bool AreOnLocalFileSystems(const std::vector<const char*>& paths) {
  return std::all_of(paths.begin(), paths.end(), [](const char* path) {
    struct statfs found = {};
    if (statfs(path, &found) == 0) return IsLocal(found);
    return errno == ENOENT || errno == ENOTDIR;
  });
}

}  // namespace fastify_ktls
