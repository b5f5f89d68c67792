// The thread that waits for sockets and moves file bytes, one for the process.
// It is outside libuv's pool, so that transfers never starve fs, dns or crypto.
#ifndef FASTIFY_KTLS_SENDER_H_
#define FASTIFY_KTLS_SENDER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "transmit_queue.h"

namespace fastify_ktls {

class Sender {
 public:
  static Sender& Instance();

  // Starts the thread on first use. 0 or a negative errno.
  int Start();

  // From any thread: the queue is the sender's now, or wants its attention.
  void Take(std::shared_ptr<TransmitQueue> queue);

  // From the queue's owner: its descriptor is about to be closed.
  void Forget(TransmitQueue& queue);

 private:
  Sender() = default;

  static void* Run(void* self);
  void Loop();
  void TakeInbox();
  void CheckTimed();
  int Timeout() const;
  void MakeReady(uint64_t id);
  void Turn(uint64_t id);
  void WaitUntilWritable(TransmitQueue& queue);
  void WaitForTimer(TransmitQueue& queue, bool again);

  UniqueFd epoll_;
  UniqueFd wake_;

  std::mutex mutex_;  // guards the next two
  bool started_ = false;
  std::vector<std::shared_ptr<TransmitQueue>> inbox_;

  // The thread's own.
  std::unordered_map<uint64_t, std::shared_ptr<TransmitQueue>> queues_;
  std::deque<uint64_t> ready_;
  std::unordered_map<uint64_t, std::chrono::steady_clock::time_point> timers_;
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_SENDER_H_
