#include "transmit/sender.h"

#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "kernel/processors.h"
#include "kernel/thread.h"
#include "transmit/blocking_pool.h"

namespace fastify_ktls {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// One for each processor that this process has, up to this many.
constexpr size_t kMaxThreads = 4;

// The kernel has no event for "the TLS layer has handed its held-back record to
// TCP", so a draining connection is looked at again after these times.
constexpr milliseconds kFirstCheck{1};
constexpr milliseconds kLastCheck{256};

constexpr uint64_t kWakeId = 0;  // queue ids start at 1

}  // namespace

// Never destroyed: the threads may still run while the process exits.
struct Sender::All {
  std::mutex mutex;  // guards the next one
  std::vector<Sender*> senders;
};

Sender::All& Sender::Everyone() {
  static All* const all = new All();
  return *all;
}

Sender* Sender::Choose(int* error) {
  All& all = Everyone();
  std::lock_guard<std::mutex> lock(all.mutex);
  static const size_t wanted = std::min(Processors(), kMaxThreads);
  while (all.senders.size() < wanted) {
    *error = Start(&all.senders);
    if (*error != 0) break;
  }
  const auto fewest = std::min_element(
      all.senders.begin(), all.senders.end(),
      [](const Sender* a, const Sender* b) { return a->connections_ < b->connections_; });
  return fewest == all.senders.end() ? nullptr : *fewest;
}

Sender::Usage Sender::TotalUsage() {
  All& all = Everyone();
  std::lock_guard<std::mutex> lock(all.mutex);
  Usage usage;
  usage.threads = all.senders.size();
  for (const Sender* sender : all.senders) {
    timespec used = {};
    if (sender->has_clock_ && clock_gettime(sender->clock_, &used) == 0)
      usage.cpu_seconds +=
          static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
    usage.waiting += sender->waiting_;
  }
  return usage;
}

int Sender::Start(std::vector<Sender*>* senders) {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll || !wake) return -errno;
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = kWakeId;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) return -errno;
  std::unique_ptr<Sender> sender(new Sender(std::move(epoll), std::move(wake)));
  if (const int error = StartThread("ktls-sender", Run, sender.get()); error != 0) return error;
  senders->push_back(sender.release());
  return 0;
}

void Sender::Take(std::shared_ptr<TransmitQueue> queue) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    inbox_.push_back(std::move(queue));
    if (inbox_.size() > 1) return;  // the wake-up for the first one stands
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
}

void Sender::Forget(TransmitQueue& queue) {
  // Node's descriptor may still be open, so closing ours would not end the
  // registration by itself (man 7 epoll, Q6).
  if (queue.executor_state().registered)
    sys.epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, queue.records().socket().fd(), nullptr);
  queue.executor_state().registered = false;
}

void* Sender::Run(void* self) {
  static_cast<Sender*>(self)->Loop();
  return nullptr;
}

void Sender::Loop() {
  // As pthread_getcpuclockid() makes it, which glibc before 2.34 has in another library
  // (include/linux/posix-timers_types.h, CPUCLOCK_PERTHREAD_MASK and CPUCLOCK_SCHED).
  clock_ = static_cast<clockid_t>(~static_cast<unsigned>(syscall(SYS_gettid)) << 3 | 6);
  has_clock_ = true;
  epoll_event events[64];
  for (;;) {
    const int count = epoll_wait(epoll_.get(), events, 64, Timeout());
    for (int i = 0; i < count; i++) {
      if (events[i].data.u64 != kWakeId) {
        MakeReady(events[i].data.u64);
        continue;
      }
      uint64_t value;
      [[maybe_unused]] const ssize_t got = read(wake_.get(), &value, sizeof(value));
    }
    TakeInbox();
    CheckTimed();
    for (size_t turns = ready_.size(); turns > 0; turns--) {
      const uint64_t id = ready_.front();
      ready_.pop_front();
      waiting_ = ready_.size();
      Turn(id);
    }
  }
}

void Sender::TakeInbox() {
  std::vector<std::shared_ptr<TransmitQueue>> taken;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    taken.swap(inbox_);
  }
  for (std::shared_ptr<TransmitQueue>& queue : taken) {
    const uint64_t id = queue->id();
    queues_[id] = std::move(queue);
    MakeReady(id);
  }
}

void Sender::MakeReady(uint64_t id) {
  const auto found = queues_.find(id);
  if (found == queues_.end() || found->second->executor_state().ready) return;
  found->second->executor_state().ready = true;
  ready_.push_back(id);
  waiting_ = ready_.size();
}

void Sender::CheckTimed() {
  if (timers_.empty()) return;
  const Clock::time_point now = Clock::now();
  for (const auto& [time, id] : timers_) {
    if (time > now) break;
    MakeReady(id);
  }
}

int Sender::Timeout() const {
  if (!ready_.empty()) return 0;
  if (timers_.empty()) return -1;
  const Clock::time_point first = timers_.begin()->first;
  const auto left = std::chrono::ceil<milliseconds>(first - Clock::now()).count();
  return static_cast<int>(std::max<decltype(left)>(left, 0));
}

void Sender::Turn(uint64_t id) {
  const auto found = queues_.find(id);
  if (found == queues_.end()) return;
  const std::shared_ptr<TransmitQueue> queue = found->second;
  const bool by_timer = ClearTimer(*queue);
  // Also of a queue that is a reader's now: it comes back.
  queue->executor_state().ready = false;
  if (!queue->OwnedByExecutor()) return Remove(id);
  TransmitQueue::Wait wait = queue->WorkAsExecutor(kTurnBytes);
  if (wait == TransmitQueue::Wait::kDisk) {
    if (!HasMoved(*queue, &queue->executor_state().cold_at) && !by_timer)
      return WaitForTimer(*queue, true);
    if (Lend(queue)) return Remove(id);
    // Out of threads: better late than never.
    wait = queue->WorkAsExecutor(kTurnBytes, true);
  }
  switch (wait) {
    case TransmitQueue::Wait::kNothing:
      Remove(id);
      break;
    case TransmitQueue::Wait::kTurn:
    case TransmitQueue::Wait::kDisk:
      MakeReady(id);
      break;
    case TransmitQueue::Wait::kSocket:
      if (!HasMoved(*queue, &queue->executor_state().blocked_at) &&
          queue->records().socket().IsWritable())
        WaitForTimer(*queue, true);
      else
        WaitUntilWritable(*queue);
      break;
    case TransmitQueue::Wait::kDelivery:
      WaitForTimer(*queue, by_timer);
      break;
    case TransmitQueue::Wait::kClient:
      // Without watches the times alone tell.
      WaitForSocket(*queue, EPOLLIN);
      SetTimer(*queue, queue->lingering().next_look());
      break;
  }
}

// To a thread that may wait for the disk, for a turn. False when there is none.
bool Sender::Lend(const std::shared_ptr<TransmitQueue>& queue) {
  queue->Lend();
  if (BlockingPool::Instance().Post([queue] { queue->WorkAsReader(kTurnBytes); })) return true;
  queue->TakeBack();
  return false;
}

// False when the queue stands where it stood the last time. The kernel out of memory
// takes nothing, and still says that it would.
bool Sender::HasMoved(TransmitQueue& queue, uint64_t* last) {
  const uint64_t now = queue.records().progress() + 1;
  if (std::exchange(*last, now) == now) return false;
  queue.executor_state().backoff = {};
  return true;
}

// False when it is out of watches (user.max_user_watches) or memory.
bool Sender::WaitForSocket(TransmitQueue& queue, uint32_t events) {
  auto& state = queue.executor_state();
  epoll_event event = {};
  event.events = events | EPOLLONESHOT;
  event.data.u64 = queue.id();
  const int operation = state.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (sys.epoll_ctl(epoll_.get(), operation, queue.records().socket().fd(), &event) != 0)
    return false;
  state.registered = true;
  return true;
}

void Sender::WaitUntilWritable(TransmitQueue& queue) {
  if (!WaitForSocket(queue, EPOLLOUT)) WaitForTimer(queue, true);
}

void Sender::WaitForTimer(TransmitQueue& queue, bool again) {
  milliseconds& backoff = queue.executor_state().backoff;
  backoff = again ? std::clamp(backoff * 2, kFirstCheck, kLastCheck) : kFirstCheck;
  SetTimer(queue, Clock::now() + backoff);
}

void Sender::SetTimer(TransmitQueue& queue, Clock::time_point time) {
  ClearTimer(queue);
  queue.executor_state().timer = time;
  timers_.emplace(time, queue.id());
}

// Whether it was set.
bool Sender::ClearTimer(TransmitQueue& queue) {
  auto& timer = queue.executor_state().timer;
  if (!timer) return false;
  timers_.erase({*timer, queue.id()});
  timer.reset();
  return true;
}

void Sender::Remove(uint64_t id) {
  const auto found = queues_.find(id);
  ClearTimer(*found->second);
  queues_.erase(found);
}

}  // namespace fastify_ktls
