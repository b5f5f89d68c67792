// The transmit side of one promoted connection: an ordered queue of data, file
// ranges, control records and the shutdown, on a file descriptor of its own.
//
// One party at a time works the queue off: the caller's thread, which tries at
// once what needs no waiting, or the sender thread. The other party only
// appends. Nothing here knows JavaScript.
#ifndef FASTIFY_KTLS_TRANSMIT_QUEUE_H_
#define FASTIFY_KTLS_TRANSMIT_QUEUE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "kernel_tls.h"
#include "syscalls.h"

namespace fastify_ktls {

// How an operation ended: 0, or a negative errno and the call that gave it.
// -ENODATA from sendfile says that the file is shorter than promised.
struct Outcome {
  int error = 0;
  const char* call = nullptr;
};

// Hears from the sender thread. Must not call back into the queue.
class TransmitListener {
 public:
  virtual ~TransmitListener() = default;
  // The operation that Submit() left pending has ended.
  virtual void OnSettled(uint64_t id, Outcome outcome) = 0;
  // The queue that Abort() left open has closed its file descriptor.
  virtual void OnClosed(uint64_t id) = 0;
};

// One step of an operation. Data is borrowed from the caller until Own().
struct TransmitItem {
  enum class Kind { kData, kFile, kRecord, kShutdown };

  static TransmitItem Data(const uint8_t* bytes, uint64_t length);
  static TransmitItem File(UniqueFd file, int64_t offset, uint64_t length);
  static TransmitItem Record(uint8_t type, const uint8_t* bytes, uint64_t length);
  static TransmitItem Shutdown();

  void Own();

  Kind kind = Kind::kShutdown;
  bool more = false;     // the record may stay open for the next item
  bool settles = false;  // the last item of an operation that is waited for
  uint8_t record_type = 0;
  const uint8_t* bytes = nullptr;
  std::unique_ptr<uint8_t[]> owned;
  UniqueFd file;
  int64_t offset = 0;
  uint64_t remaining = 0;
};

class TransmitQueue : public std::enable_shared_from_this<TransmitQueue> {
 public:
  // Where a record stream starts: bytes that TCP had taken, and the sequence
  // number, when the kernel got the key.
  struct Start {
    int version;
    const CipherSpec* cipher;
    uint64_t sequence;
    int64_t bytes_in_tcp;
  };
  enum class Progress {
    kIdle,      // nothing left to do
    kTurnOver,  // the budget is used up
    kBlocked,   // the socket takes no more now
    kDraining,  // sealed bytes still wait in the TLS layer
    kNeedsSender,
    kClosed,
  };

  TransmitQueue(UniqueFd socket, const Start& start, std::shared_ptr<TransmitListener> listener);

  uint64_t id() const { return id_; }
  int fd() const { return socket_.get(); }

  // --- The connection's own thread ---

  // Appends the items as one operation and sends at once what goes without
  // waiting. True when the operation has ended, with `outcome`; else the
  // listener hears of it. Operations that nobody waits for set `detached`.
  bool Submit(std::vector<TransmitItem> items, bool detached, Outcome* outcome);

  // Drops all that the kernel has not taken yet and closes the descriptor as
  // soon as nothing that was reported written can be cut off. True when it is
  // closed already; else the listener hears of it.
  bool Abort();

  // The listener hears nothing any more.
  void Detach();

  // Bytes of plaintext that the kernel has taken.
  uint64_t data_bytes() const { return data_bytes_.load(std::memory_order_relaxed); }
  uint64_t file_bytes() const { return file_bytes_.load(std::memory_order_relaxed); }

  // --- The sender thread ---

  // False when the queue is not the sender's any more.
  bool OwnedBySender();
  // Works off at most `budget` bytes.
  Progress Work(uint64_t budget);

  // The sender's own notes.
  struct SenderState {
    bool ready = false;
    bool registered = false;
    std::chrono::milliseconds backoff{0};
  };
  SenderState& sender_state() { return sender_state_; }

 private:
  enum class Owner { kNobody, kCaller, kSender };

  Progress WorkItem(TransmitItem* item, uint64_t* budget);
  Progress SendSome(TransmitItem* item, uint64_t* budget);
  Progress SendFileRange(TransmitItem* item, uint64_t* budget);
  Progress ShutDown(TransmitItem* item);
  Progress FinishAborted();
  void Took(std::atomic<uint64_t>* counter, uint64_t bytes);
  void Finish(TransmitItem* item);
  void Fail(int error, const char* call);
  void Settle(Outcome outcome);
  bool AllReportedIsInTcp();
  bool LingerIsOver();
  void HandToSender();

  const uint64_t id_;
  const Start start_;

  std::mutex mutex_;  // guards the next five
  std::deque<TransmitItem> items_;
  Owner owner_ = Owner::kNobody;
  bool aborted_ = false;
  Outcome failure_;
  std::shared_ptr<TransmitListener> listener_;

  std::atomic<uint64_t> data_bytes_{0};
  std::atomic<uint64_t> file_bytes_{0};

  // Touched by the owner alone.
  UniqueFd socket_;
  std::unique_ptr<TransmitItem> current_;
  uint64_t record_bytes_ = 0;  // of control records
  uint64_t unreported_ = 0;    // bytes taken of an operation that has not ended
  bool shut_down_ = false;
  bool inline_ = false;  // the caller's thread is at work
  bool inline_settled_ = false;
  Outcome inline_outcome_;
  int64_t lingering_bytes_ = -1;
  std::chrono::steady_clock::time_point linger_until_;
  SenderState sender_state_;
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_TRANSMIT_QUEUE_H_
