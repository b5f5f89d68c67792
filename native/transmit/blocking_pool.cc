#include "transmit/blocking_pool.h"

#include <memory>
#include <utility>

#include "kernel/thread.h"

namespace fastify_ktls {

namespace {

// So many disks, or requests of one disk, can be waited for at a time.
constexpr int kMaxThreads = 16;

}  // namespace

BlockingPool& BlockingPool::Instance() {
  // Never destroyed: its threads may still run while the process exits.
  static BlockingPool* const pool = new BlockingPool();
  return *pool;
}

// Whether there are any, once there was a try to have one more where all are at work.
bool BlockingPool::HasThreads() {
  if (tasks_.size() >= idle_ && threads_ < kMaxThreads &&
      StartThread("ktls-reader", Run, this) == 0)
    threads_++;
  return threads_ > 0;
}

bool BlockingPool::Post(std::function<void()> task) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!HasThreads()) return false;
  tasks_.push_back(std::move(task));
  wake_.notify_one();
  return true;
}

void BlockingPool::Close(UniqueFd file) {
  // A task is copied about, a descriptor has one owner.
  auto shared = std::make_shared<UniqueFd>(std::move(file));
  Post([shared] { shared->Reset(); });
}

void* BlockingPool::Run(void* self) {
  static_cast<BlockingPool*>(self)->Loop();
  return nullptr;
}

void BlockingPool::Loop() {
  for (;;) {
    std::function<void()> task;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      idle_++;
      wake_.wait(lock, [this] { return !tasks_.empty(); });
      idle_--;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace fastify_ktls
