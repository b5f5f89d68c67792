// Threads that wait for disks, so that the senders need not: a file whose pages
// are not in the cache holds up its own connection only.
#ifndef FASTIFY_KTLS_TRANSMIT_COLD_READERS_H_
#define FASTIFY_KTLS_TRANSMIT_COLD_READERS_H_

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

#include "transmit/transmit_queue.h"

namespace fastify_ktls {

class ColdReaders {
 public:
  static ColdReaders& Instance();

  // From a sender: has a turn of the queue's work done by a thread that may wait
  // for the disk, and the queue given back. False when there is no such thread
  // and none can be started.
  bool Take(const std::shared_ptr<TransmitQueue>& queue);

  // From any thread: closes a file, for which some file systems ask their server too.
  void Close(UniqueFd file);

 private:
  ColdReaders() = default;

  bool HasThreads();

  // One of the two.
  struct Task {
    std::shared_ptr<TransmitQueue> queue;
    UniqueFd closing;
  };

  static void* Run(void* self);
  void Loop();

  std::mutex mutex_;  // guards the rest
  std::condition_variable wake_;
  std::deque<Task> tasks_;  // in the order in which they came
  int threads_ = 0;
  size_t idle_ = 0;
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_TRANSMIT_COLD_READERS_H_
