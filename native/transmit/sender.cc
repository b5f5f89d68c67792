#include "transmit/sender.h"

#include <sched.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "kernel/thread.h"
#include "transmit/cold_readers.h"

namespace fastify_ktls {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kMaxThreads = 4;

// The kernel has no event for "the TLS layer has handed its held-back record to
// TCP", so a draining connection is looked at again after these times.
constexpr milliseconds kFirstCheck{1};
constexpr milliseconds kLastCheck{256};

constexpr uint64_t kWakeId = 0;  // queue ids start at 1

// One for each processor that this process may use, up to the limit.
size_t WantedThreads() {
  cpu_set_t processors;
  if (sched_getaffinity(0, sizeof(processors), &processors) != 0) return kMaxThreads;
  return std::min<size_t>(CPU_COUNT(&processors), kMaxThreads);
}

}  // namespace

Sender* Sender::Choose(int* error) {
  // Never destroyed: the threads may still run while the process exits.
  static std::vector<Sender*>* const senders = new std::vector<Sender*>();
  static std::mutex mutex;  // guards it
  std::lock_guard<std::mutex> lock(mutex);
  while (senders->size() < WantedThreads()) {
    *error = Start(senders);
    if (*error != 0) break;
  }
  const auto fewest = std::min_element(
      senders->begin(), senders->end(),
      [](const Sender* a, const Sender* b) { return a->connections_ < b->connections_; });
  return fewest == senders->end() ? nullptr : *fewest;
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
  if (queue.sender_state().registered)
    sys.epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, queue.stream().fd(), nullptr);
  queue.sender_state().registered = false;
}

void* Sender::Run(void* self) {
  static_cast<Sender*>(self)->Loop();
  return nullptr;
}

void Sender::Loop() {
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
  if (found == queues_.end() || found->second->sender_state().ready) return;
  found->second->sender_state().ready = true;
  ready_.push_back(id);
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
  queue->sender_state().ready = false;
  if (!queue->OwnedBySender()) return Remove(id);
  TransmitQueue::Progress progress = queue->WorkAsSender(kTurnBytes);
  if (progress == TransmitQueue::Progress::kCold) {
    if (!HasMoved(*queue, &queue->sender_state().lent_at) && !by_timer)
      return WaitForTimer(*queue, true);
    if (ColdReaders::Instance().Take(queue)) return Remove(id);
    // Out of threads: better late than never.
    progress = queue->WorkAsSender(kTurnBytes, true);
  }
  switch (progress) {
    case TransmitQueue::Progress::kIdle:
    case TransmitQueue::Progress::kClosed:
      Remove(id);
      break;
    case TransmitQueue::Progress::kTurnOver:
    case TransmitQueue::Progress::kNeedsSender:
    case TransmitQueue::Progress::kCold:
      MakeReady(id);
      break;
    case TransmitQueue::Progress::kBlocked:
      if (!HasMoved(*queue, &queue->sender_state().blocked_at) && queue->stream().IsWritable())
        WaitForTimer(*queue, true);
      else
        WaitUntilWritable(*queue);
      break;
    case TransmitQueue::Progress::kDraining:
      WaitForTimer(*queue, by_timer);
      break;
    case TransmitQueue::Progress::kLingering:
      // Without watches the times alone tell.
      WaitForSocket(*queue, EPOLLIN);
      SetTimer(*queue, queue->lingering().next_look());
      break;
  }
}

// False when the queue stands where it stood the last time. The kernel out of memory
// takes nothing, and still says that it would.
bool Sender::HasMoved(TransmitQueue& queue, uint64_t* last) {
  const uint64_t now = queue.stream().data_bytes() + queue.stream().file_bytes() + 1;
  if (std::exchange(*last, now) == now) return false;
  queue.sender_state().backoff = {};
  return true;
}

// False when it is out of watches (user.max_user_watches) or memory.
bool Sender::WaitForSocket(TransmitQueue& queue, uint32_t events) {
  auto& state = queue.sender_state();
  epoll_event event = {};
  event.events = events | EPOLLONESHOT;
  event.data.u64 = queue.id();
  const int operation = state.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (sys.epoll_ctl(epoll_.get(), operation, queue.stream().fd(), &event) != 0) return false;
  state.registered = true;
  return true;
}

void Sender::WaitUntilWritable(TransmitQueue& queue) {
  if (!WaitForSocket(queue, EPOLLOUT)) WaitForTimer(queue, true);
}

void Sender::WaitForTimer(TransmitQueue& queue, bool again) {
  milliseconds& backoff = queue.sender_state().backoff;
  backoff = again ? std::clamp(backoff * 2, kFirstCheck, kLastCheck) : kFirstCheck;
  SetTimer(queue, Clock::now() + backoff);
}

void Sender::SetTimer(TransmitQueue& queue, Clock::time_point time) {
  ClearTimer(queue);
  queue.sender_state().timer = time;
  timers_.emplace(time, queue.id());
}

// Whether it was set.
bool Sender::ClearTimer(TransmitQueue& queue) {
  auto& timer = queue.sender_state().timer;
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
