// The transmit side of one promoted connection: an ordered queue of data, file
// ranges and the shutdown, on a file descriptor of its own. Control records and
// changes of the key go between its records, before all that waits.
//
// One party at a time works the queue off: the caller's thread, which tries at
// once what needs no waiting, or the sender thread. The other party only
// appends. Nothing here knows JavaScript.
#ifndef FASTIFY_KTLS_TRANSMIT_QUEUE_H_
#define FASTIFY_KTLS_TRANSMIT_QUEUE_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "record_stream.h"

namespace fastify_ktls {

// How an operation ended: 0, or a negative errno and the call that gave it.
// -ENODATA from sendfile says that the file is shorter than promised.
struct Outcome {
  int error = 0;
  const char* call = nullptr;
};

// Hears from any thread. Must not call back into the queue.
class TransmitListener {
 public:
  virtual ~TransmitListener() = default;
  // The operation that Submit() left pending has ended.
  virtual void OnSettled(uint64_t id, Outcome outcome) = 0;
  // The queue that Abort() left open has closed its file descriptor.
  virtual void OnClosed(uint64_t id) = 0;
  // The transmit key was changed.
  virtual void OnKeyUpdated(uint64_t id) = 0;
  // The key should not be used any more, and there is no other: the connection
  // has to end soon. Told once.
  virtual void OnKeyUsedUp(uint64_t id) = 0;
};

// One step of an operation. Data is borrowed from the caller until Own().
struct TransmitItem {
  enum class Kind { kData, kFile, kAlert, kKeyUpdate, kShutdown };

  static TransmitItem Data(const uint8_t* bytes, uint64_t length);
  static TransmitItem File(UniqueFd file, int64_t offset, uint64_t length);
  static TransmitItem Alert(const uint8_t* bytes, uint64_t length);
  static TransmitItem KeyUpdate();
  static TransmitItem Shutdown();

  void Own();

  Kind kind = Kind::kShutdown;
  bool more = false;     // the record may stay open for the next item
  bool settles = false;  // the last item of an operation
  const uint8_t* bytes = nullptr;
  std::unique_ptr<uint8_t[]> owned;
  UniqueFd file;
  int64_t offset = 0;
  uint64_t remaining = 0;
};

class TransmitQueue : public std::enable_shared_from_this<TransmitQueue> {
 public:
  enum class Progress {
    kIdle,      // nothing left to do
    kTurnOver,  // the budget is used up
    kBlocked,   // the socket takes no more now
    kDraining,  // sealed bytes still wait in the TLS layer
    kNeedsSender,
    kClosed,
  };

  TransmitQueue(UniqueFd socket, RecordStream::Start start,
                std::shared_ptr<TransmitListener> listener);

  uint64_t id() const { return id_; }
  const RecordStream& stream() const { return stream_; }

  // --- The connection's own thread ---

  // Appends the items as one operation and sends at once what goes without
  // waiting. True when the operation has ended, with `outcome`; else the
  // listener hears of it.
  bool Submit(std::vector<TransmitItem> items, Outcome* outcome);

  // Sends an alert: close_notify after all that waits, any other one before it
  // and even if Abort() follows. When that fails, the listener hears of it.
  void SendAlert(const uint8_t* bytes, size_t length);

  // Changes the key as soon as it can be, or has the listener told.
  void UpdateKey();

  // Drops all that the kernel has not taken yet and closes the descriptor as
  // soon as nothing that was reported written can be cut off. True when it is
  // closed already; else the listener hears of it.
  bool Abort();

  // The listener hears nothing any more.
  void Detach();

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
  enum class Next { kNothing, kControl, kItem, kEnd };

  bool WorkInline(Outcome* outcome);
  void WorkUnasked();
  Next TakeNext();
  Progress WorkRecord(std::unique_ptr<TransmitItem>* item);
  void RequireKeyUpdate();
  Progress WorkItem(TransmitItem* item, uint64_t* budget);
  Progress SendSome(TransmitItem* item, uint64_t* budget);
  Progress SendFileRange(TransmitItem* item, uint64_t* budget);
  Progress ShutDown();
  Progress FinishAborted();
  void ChangeKey();
  void Took(TransmitItem* item, uint64_t bytes, uint64_t* budget);
  void Finish();
  void Fail(int error, const char* call);
  void Settle(Outcome outcome);
  std::shared_ptr<TransmitListener> Listener();
  bool LingerIsOver();
  void HandToSender();

  const uint64_t id_;

  std::mutex mutex_;  // guards the next seven
  std::deque<TransmitItem> items_;
  std::deque<TransmitItem> controls_;
  bool key_update_required_ = false;
  Owner owner_ = Owner::kNobody;
  bool aborted_ = false;
  Outcome failure_;
  std::shared_ptr<TransmitListener> listener_;

  // Touched by the owner alone, but for the stream's counters.
  RecordStream stream_;
  std::unique_ptr<TransmitItem> current_;
  std::unique_ptr<TransmitItem> control_;
  bool ending_ = false;      // aborted_, as the owner has seen it
  uint64_t unreported_ = 0;  // bytes taken of an operation that has not ended
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
