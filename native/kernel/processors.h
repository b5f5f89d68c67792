// How many processors this process really has.
#ifndef FASTIFY_KTLS_KERNEL_PROCESSORS_H_
#define FASTIFY_KTLS_KERNEL_PROCESSORS_H_

#include <cstddef>
#include <string>

namespace fastify_ktls {

// Those that it may run on, and no more than its control groups let it use at a time
// (Documentation/admin-guide/cgroup-v2.rst, cpu.max; cgroup-v1: cpu.cfs_quota_us); at
// least 1.
size_t Processors();

// Whole processors in a quota as cpu.max has it ("150000 100000"), 0 when it sets no limit.
size_t ProcessorsInQuota(const std::string& quota);

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_KERNEL_PROCESSORS_H_
