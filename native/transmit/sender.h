// The threads that wait for sockets and move file bytes, a few for the process,
// each with an epoll of its own. A connection stays with one. They are outside
// libuv's pool, so that transfers never starve fs, dns or crypto.
#ifndef FASTIFY_KTLS_TRANSMIT_SENDER_H_
#define FASTIFY_KTLS_TRANSMIT_SENDER_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "transmit/transmit_queue.h"

namespace fastify_ktls {

class Sender {
 public:
  // The one with the fewest connections; starts the threads on first use. Null,
  // and a negative errno, when not one can be started.
  static Sender* Choose(int* error);

  // From any thread: a connection has come, or has gone.
  void Join() { connections_++; }
  void Leave() { connections_--; }

  // From any thread: the queue is the sender's now, or wants its attention.
  void Take(std::shared_ptr<TransmitQueue> queue);

  // From the queue's owner: its descriptor is about to be closed.
  void Forget(TransmitQueue& queue);

 private:
  Sender(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

  static int Start(std::vector<Sender*>* senders);

  static void* Run(void* self);
  void Loop();
  void TakeInbox();
  void CheckTimed();
  int Timeout() const;
  void MakeReady(uint64_t id);
  void Turn(uint64_t id);
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

  std::mutex mutex_;  // guards the next one
  std::vector<std::shared_ptr<TransmitQueue>> inbox_;

  // The thread's own.
  std::unordered_map<uint64_t, std::shared_ptr<TransmitQueue>> queues_;
  std::deque<uint64_t> ready_;
  // The earliest first; each queue knows its own (SenderState).
  std::set<std::pair<std::chrono::steady_clock::time_point, uint64_t>> timers_;
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_TRANSMIT_SENDER_H_
