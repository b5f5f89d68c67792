#include "kernel/processors.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace fastify_ktls {

namespace {

constexpr char kMount[] = "/sys/fs/cgroup";

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

size_t Fewer(size_t limit, size_t other) {
  if (limit == 0) return other;
  return other == 0 ? limit : std::min(limit, other);
}

// Of a group and all above it.
template <typename QuotaOf>
size_t LeastInGroups(const std::string& mount, std::string group, QuotaOf quota_of) {
  size_t least = 0;
  for (;;) {
    least = Fewer(least, ProcessorsInQuota(quota_of(mount + group)));
    const size_t parent = group.rfind('/');
    if (parent == std::string::npos || group == "/") return least;
    group.resize(parent);
  }
}

std::string QuotaOfVersion2(const std::string& folder) { return FirstLine(folder + "/cpu.max"); }

std::string QuotaOfVersion1(const std::string& folder) {
  return FirstLine(folder + "/cpu.cfs_quota_us") + " " + FirstLine(folder + "/cpu.cfs_period_us");
}

bool Lists(const std::string& controllers, const std::string& wanted) {
  std::istringstream names(controllers);
  for (std::string name; std::getline(names, name, ',');)
    if (name == wanted) return true;
  return false;
}

// man 7 cgroups, /proc/pid/cgroup: a line "id:controllers:group" for each hierarchy;
// version 2 has none named. Within a container its own group is the root of what it sees,
// whatever the name is.
size_t Quota() {
  size_t least = Fewer(ProcessorsInQuota(QuotaOfVersion2(kMount)),
                       ProcessorsInQuota(QuotaOfVersion1(std::string(kMount) + "/cpu")));
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty())
      least = Fewer(least, LeastInGroups(kMount, group, QuotaOfVersion2));
    else if (Lists(controllers, "cpu"))
      least = Fewer(least,
                    LeastInGroups(std::string(kMount) + "/" + controllers, group, QuotaOfVersion1));
  }
  return least;
}

}  // namespace

size_t ProcessorsInQuota(const std::string& quota) {
  std::istringstream figures(quota);
  int64_t time = 0;
  int64_t period = 0;
  // "max" and -1 set none.
  if (!(figures >> time >> period) || time <= 0 || period <= 0) return 0;
  return static_cast<size_t>(std::max<int64_t>(time / period, 1));
}

size_t Processors() {
  cpu_set_t usable;
  const size_t count = sched_getaffinity(0, sizeof(usable), &usable) == 0
                           ? static_cast<size_t>(CPU_COUNT(&usable))
                           : 1;
  return std::max<size_t>(Fewer(Quota(), count), 1);
}

}  // namespace fastify_ktls
