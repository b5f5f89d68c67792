#include "sender.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

namespace fastify_ktls {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// What one connection may send before the next one has its turn. A quarter of it
// costs a file of 10 MB 2% more instructions (npm run bench).
constexpr uint64_t kTurnBytes = 2048 * 1024;

// The kernel has no event for "the TLS layer has handed its held-back record to
// TCP", so a draining connection is looked at again after these times.
constexpr milliseconds kFirstCheck{1};
constexpr milliseconds kLastCheck{256};

constexpr uint64_t kWakeId = 0;  // queue ids start at 1

}  // namespace

Sender& Sender::Instance() {
  // Never destroyed: the thread may still run while the process exits.
  static Sender* const sender = new Sender();
  return *sender;
}

int Sender::Start() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (started_) return 0;
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll || !wake) return -errno;
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = kWakeId;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) return -errno;

  // Signals belong to the threads that Node made.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = pthread_create(&thread, nullptr, Run, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return -error;
  pthread_setname_np(thread, "ktls-sender");
  pthread_detach(thread);
  epoll_ = std::move(epoll);
  wake_ = std::move(wake);
  started_ = true;
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
  {
    // Start() holds the lock until the descriptors are in place.
    std::lock_guard<std::mutex> lock(mutex_);
  }
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
  for (const auto& [id, time] : timers_)
    if (time <= now) MakeReady(id);
}

int Sender::Timeout() const {
  if (!ready_.empty()) return 0;
  if (timers_.empty()) return -1;
  Clock::time_point first = Clock::time_point::max();
  for (const auto& [id, time] : timers_) first = std::min(first, time);
  const auto left = std::chrono::ceil<milliseconds>(first - Clock::now()).count();
  return static_cast<int>(std::max<decltype(left)>(left, 0));
}

void Sender::Turn(uint64_t id) {
  const auto found = queues_.find(id);
  if (found == queues_.end()) return;
  const std::shared_ptr<TransmitQueue> queue = found->second;
  const bool by_timer = timers_.erase(id) != 0;
  if (!queue->OwnedBySender()) {
    queues_.erase(found);
    return;
  }
  queue->sender_state().ready = false;
  switch (queue->Work(kTurnBytes)) {
    case TransmitQueue::Progress::kIdle:
    case TransmitQueue::Progress::kClosed:
      queues_.erase(id);
      break;
    case TransmitQueue::Progress::kTurnOver:
    case TransmitQueue::Progress::kNeedsSender:
      MakeReady(id);
      break;
    case TransmitQueue::Progress::kBlocked:
      WaitUntilWritable(*queue);
      break;
    case TransmitQueue::Progress::kDraining:
      WaitForTimer(*queue, by_timer);
      break;
  }
}

void Sender::WaitUntilWritable(TransmitQueue& queue) {
  auto& state = queue.sender_state();
  epoll_event event = {};
  event.events = EPOLLOUT | EPOLLONESHOT;
  event.data.u64 = queue.id();
  const int operation = state.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (sys.epoll_ctl(epoll_.get(), operation, queue.stream().fd(), &event) == 0) {
    state.registered = true;
  } else {
    // Out of watches (user.max_user_watches) or memory: look again by the clock.
    WaitForTimer(queue, false);
  }
}

void Sender::WaitForTimer(TransmitQueue& queue, bool again) {
  milliseconds& backoff = queue.sender_state().backoff;
  backoff = again ? std::min(backoff * 2, kLastCheck) : kFirstCheck;
  timers_[queue.id()] = Clock::now() + backoff;
}

}  // namespace fastify_ktls
