// The threads that wait for sockets, move file bytes and seal records, a few for the
// process, each with an epoll of its own. A connection stays with one. They are outside
// libuv's pool, so that transfers never starve fs, dns or crypto.
#ifndef FASTIFY_KTLS_TRANSMIT_SENDER_H_
#define FASTIFY_KTLS_TRANSMIT_SENDER_H_

#include <time.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "transmit/executor.h"
#include "transmit/transmit_queue.h"

namespace fastify_ktls {

class Sender : public Executor {
 public:
  // The one with the fewest connections; starts the threads on first use. Null,
  // and a negative errno, when not one can be started.
  static Sender* Choose(int* error);

  // What all of them have used and have to do.
  struct Usage {
    size_t threads = 0;
    double cpu_seconds = 0;  // since the threads began
    size_t waiting = 0;      // connections that wait for their turn
  };
  static Usage TotalUsage();

  void Join() override { connections_++; }
  void Leave() override { connections_--; }
  void Take(std::shared_ptr<TransmitQueue> queue) override;
  void Forget(TransmitQueue& queue) override;

 private:
  Sender(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

  struct All;
  static All& Everyone();
  static int Start(std::vector<Sender*>* senders);

  static void* Run(void* self);
  void Loop();
  void TakeInbox();
  void CheckTimed();
  int Timeout() const;
  void MakeReady(uint64_t id);
  void Turn(uint64_t id);
  static bool Lend(const std::shared_ptr<TransmitQueue>& queue);
  static bool HasMoved(TransmitQueue& queue, uint64_t* last);
  bool WaitForSocket(TransmitQueue& queue, uint32_t events);
  void WaitUntilWritable(TransmitQueue& queue);
  void WaitForTimer(TransmitQueue& queue, bool again);
  void SetTimer(TransmitQueue& queue, std::chrono::steady_clock::time_point time);
  bool ClearTimer(TransmitQueue& queue);
  void Remove(uint64_t id);

  const UniqueFd epoll_;
  const UniqueFd wake_;
  std::atomic<size_t> connections_{0};
  std::atomic<size_t> waiting_{0};  // how many are ready, as others see it
  std::atomic<clockid_t> clock_{};
  std::atomic<bool> has_clock_{false};

  std::mutex mutex_;  // guards the next one
  std::vector<std::shared_ptr<TransmitQueue>> inbox_;

  // The thread's own.
  std::unordered_map<uint64_t, std::shared_ptr<TransmitQueue>> queues_;
  std::deque<uint64_t> ready_;
  // The earliest first; each queue knows its own (ExecutorState).
  std::set<std::pair<std::chrono::steady_clock::time_point, uint64_t>> timers_;
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_TRANSMIT_SENDER_H_
