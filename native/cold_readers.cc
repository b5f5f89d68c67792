#include "cold_readers.h"

#include "thread.h"

namespace fastify_ktls {

namespace {

// So many disks, or requests of one disk, can be waited for at a time.
constexpr int kMaxThreads = 16;

}  // namespace

ColdReaders& ColdReaders::Instance() {
  // Never destroyed: its threads may still run while the process exits.
  static ColdReaders* const readers = new ColdReaders();
  return *readers;
}

bool ColdReaders::Take(const std::shared_ptr<TransmitQueue>& queue) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (static_cast<int>(waiting_.size()) >= idle_ && threads_ < kMaxThreads) {
    if (StartThread("ktls-reader", Run, this) == 0)
      threads_++;
    else if (threads_ == 0)
      return false;
  }
  queue->LendToReader();
  waiting_.push_back(queue);
  wake_.notify_one();
  return true;
}

void* ColdReaders::Run(void* self) {
  static_cast<ColdReaders*>(self)->Loop();
  return nullptr;
}

void ColdReaders::Loop() {
  for (;;) {
    std::shared_ptr<TransmitQueue> queue;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      idle_++;
      wake_.wait(lock, [this] { return !waiting_.empty(); });
      idle_--;
      queue = std::move(waiting_.front());
      waiting_.pop_front();
    }
    queue->WorkAsReader(kTurnBytes);
  }
}

}  // namespace fastify_ktls
