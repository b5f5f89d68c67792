#include "kernel/file_identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

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

// 0 where the kernel knows without a disk what the path names; -ENOENT where it knows that this is
// nothing.
int Resolve(const std::string& path) {
  const OpenHow how = {O_PATH | O_CLOEXEC, 0, kResolveCached};
  const UniqueFd file(
      static_cast<int>(syscall(kOpenat2, AT_FDCWD, path.c_str(), &how, sizeof(how))));
  if (file) return 0;
  return errno == ENOTDIR ? -ENOENT : -errno;
}

// Whether `path` is resolved on the way to `file`.
bool LeadsTo(const std::string& path, const std::string& file) {
  if (file.compare(0, path.size(), path) != 0) return false;
  return file.size() == path.size() || path.back() == '/' || file[path.size()] == '/';
}

// 0 or a negative errno: -ENOENT where there is no such file.
int Find(const std::string& path, struct statx* found) {
  if (syscall(SYS_statx, AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC, STATX_BASIC_STATS, found) == 0)
    return 0;
  return errno == ENOTDIR ? -ENOENT : -errno;
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

int IdentitiesOf(const std::vector<std::string>& paths, FileIdentity* identities) {
  const std::string& file = paths.back();
  if (const int error = Resolve(file); error != 0 && error != -ENOENT) return error;
  for (size_t i = 0; i < paths.size(); i++) {
    struct statx found = {};
    int error = LeadsTo(paths[i], file) ? 0 : Resolve(paths[i]);
    if (error == 0) error = Find(paths[i], &found);
    if (error != 0 && error != -ENOENT) return error;
    identities[i] = error == 0 ? From(found) : FileIdentity{};
  }
  return 0;
}

int IdentityOfFile(int file, FileIdentity* identity) {
  struct statx found = {};
  if (sys.statx(file, &found) != 0) return -errno;
  *identity = From(found);
  return 0;
}

bool AreOnLocalFileSystems(const std::vector<std::string>& paths) {
  return std::all_of(paths.begin(), paths.end(), [](const std::string& path) {
    struct statfs found = {};
    if (statfs(path.c_str(), &found) == 0) return IsLocal(found);
    return errno == ENOENT || errno == ENOTDIR;
  });
}

}  // namespace fastify_ktls
