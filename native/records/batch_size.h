// How many records of one connection to seal before TCP is given them: as many as it
// takes, and little more, so that a client that stands still costs no memory. One at
// first and after a refusal, then twice as many each time that TCP takes all.
#ifndef FASTIFY_KTLS_RECORDS_BATCH_SIZE_H_
#define FASTIFY_KTLS_RECORDS_BATCH_SIZE_H_

#include <cstddef>
#include <cstdint>

#include "kernel/tcp_socket.h"

namespace fastify_ktls {

class BatchSize {
 public:
  // Sealed in one go at most: 256 KiB, which stay in a processor's second-level cache.
  static constexpr size_t kMost = 16;

  // Of the present socket buffer. `record`: bytes of a full one.
  BatchSize(const TcpSocket& socket, size_t record);

  // Of `length` bytes of plaintext those to seal now: whole records that TCP has room
  // for, else what it has room for.
  size_t Fitting(const TcpSocket& socket, size_t length);

  // TCP took all that it was given; or, of `given` bytes that it was given, `taken`. What
  // was kept from before is among them, so they can be more than the batch.
  void TakenWhole();
  void TakenInPart(size_t taken, size_t given);

 private:
  const size_t record_;
  const size_t fewest_;
  size_t records_ = fewest_;
  size_t most_ = kMost;  // less where TCP refuses though there is room
  int64_t room_ = 0;     // what TCP said before the present batch; 0: nothing
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_RECORDS_BATCH_SIZE_H_
