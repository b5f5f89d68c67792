// Who works a queue off where its caller would have to wait.
#ifndef FASTIFY_KTLS_TRANSMIT_EXECUTOR_H_
#define FASTIFY_KTLS_TRANSMIT_EXECUTOR_H_

#include <memory>

namespace fastify_ktls {

class TransmitQueue;

class Executor {
 public:
  virtual ~Executor() = default;

  // A queue begins, and ends, to be one of this executor's.
  virtual void Join() = 0;
  virtual void Leave() = 0;

  // From any thread: the queue is to be worked off, or looked at again.
  virtual void Take(std::shared_ptr<TransmitQueue> queue) = 0;
  // By the queue's owner: its descriptor is about to be closed.
  virtual void Forget(TransmitQueue& queue) = 0;
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_TRANSMIT_EXECUTOR_H_
