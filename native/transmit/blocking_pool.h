// Threads that wait for disks and file servers, so that the senders need not: a file
// whose pages are not in the cache holds up its own connection only.
#ifndef FASTIFY_KTLS_TRANSMIT_BLOCKING_POOL_H_
#define FASTIFY_KTLS_TRANSMIT_BLOCKING_POOL_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

#include "kernel/syscalls.h"

namespace fastify_ktls {

class BlockingPool {
 public:
  static BlockingPool& Instance();

  // From any thread: has the task run, after those that came before it. False when
  // there is no thread and none can be started.
  bool Post(std::function<void()> task);

  // Closes a file, for which some file systems ask their server. Without a thread the
  // caller does it.
  void Close(UniqueFd file);

 private:
  BlockingPool() = default;

  bool HasThreads();

  static void* Run(void* self);
  void Loop();

  std::mutex mutex_;  // guards the rest
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  int threads_ = 0;
  size_t idle_ = 0;
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_TRANSMIT_BLOCKING_POOL_H_
