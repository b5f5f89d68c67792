#include "transmit/cold_readers.h"

#include "kernel/thread.h"

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

// Whether there are any, once there was a try to have one more where all are at work.
bool ColdReaders::HasThreads() {
  if (tasks_.size() >= idle_ && threads_ < kMaxThreads &&
      StartThread("ktls-reader", Run, this) == 0)
    threads_++;
  return threads_ > 0;
}

bool ColdReaders::Take(const std::shared_ptr<TransmitQueue>& queue) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!HasThreads()) return false;
  queue->LendToReader();
  tasks_.push_back({queue, UniqueFd()});
  wake_.notify_one();
  return true;
}

void ColdReaders::Close(UniqueFd file) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!HasThreads()) return;
  tasks_.push_back({nullptr, std::move(file)});
  wake_.notify_one();
}

void* ColdReaders::Run(void* self) {
  static_cast<ColdReaders*>(self)->Loop();
  return nullptr;
}

void ColdReaders::Loop() {
  for (;;) {
    Task task;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      idle_++;
      wake_.wait(lock, [this] { return !tasks_.empty(); });
      idle_--;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    if (task.queue) task.queue->WorkAsReader(kTurnBytes);
  }
}

}  // namespace fastify_ktls
