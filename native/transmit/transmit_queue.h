// The transmit side of one promoted connection: an ordered queue of data, file
// ranges and the shutdown, on a file descriptor of its own. Control records and
// changes of the key go between its records, before all that waits.
//
// One party at a time works the queue off: the caller's thread, which tries at once
// what needs no waiting, or its executor, which has what needs a disk done by a thread
// that may wait. The others only append. Nothing here knows JavaScript.
#ifndef FASTIFY_KTLS_TRANSMIT_TRANSMIT_QUEUE_H_
#define FASTIFY_KTLS_TRANSMIT_TRANSMIT_QUEUE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "records/record_layer.h"
#include "transmit/executor.h"
#include "transmit/lingering.h"
#include "transmit/transmit_item.h"

namespace fastify_ktls {

// What one connection may send before the next one has its turn. A quarter of it
// costs a file of 10 MiB 2% more instructions (npm run bench).
constexpr uint64_t kTurnBytes = 2048 * 1024;

// A body of so many bytes, or fewer, is sent by the event loop's thread, from memory or from
// the page cache: to hand 100 KiB over costs it more than to seal and send them
// (bench/README.md).
constexpr uint64_t kInlineBytes = 128 * 1024;

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
  // The operation that Submit() left pending has ended, or, if there is none, the
  // queue has failed.
  virtual void OnSettled(Outcome outcome) = 0;
  // The queue that Abort() left open has closed its file descriptor.
  virtual void OnClosed() = 0;
  // The transmit key is to be changed, at the latest with the next data.
  virtual void OnKeyDue() = 0;
  // It was changed.
  virtual void OnKeyUpdated() = 0;
  // The key should not be used any more, and there is no other: the connection
  // has to end soon. Told once.
  virtual void OnKeyUsedUp() = 0;
  // Data was to be sent past the queue, and is lost.
  virtual void OnBypassed() = 0;
};

class TransmitQueue : public std::enable_shared_from_this<TransmitQueue> {
 public:
  // What a queue that was worked off waits for.
  enum class Wait {
    kNothing,   // all is done, or the queue is closed
    kTurn,      // its next turn
    kSocket,    // room in TCP
    kDisk,      // the file's next bytes
    kDelivery,  // sealed bytes that wait in the TLS layer
    kClient,    // all is sent, and the client may not have it yet
  };

  TransmitQueue(std::unique_ptr<RecordLayer> records, Executor& executor,
                std::shared_ptr<TransmitListener> listener);
  ~TransmitQueue();

  uint64_t id() const { return id_; }
  const RecordLayer& records() const { return *records_; }

  // --- The connection's own thread ---

  // Appends the items as one operation and sends at once what goes without
  // waiting. True when the operation has ended, with `outcome`; else the
  // listener hears of it.
  bool Submit(std::vector<TransmitItem> items, Outcome* outcome);

  // Sends an alert: close_notify after all that waits, any other one before it
  // and even if Abort() follows. When that fails, the listener hears of it.
  void SendAlert(const uint8_t* bytes, size_t length);

  // Changes the key before the next data (RFC 8446 4.6.3), and has the listener told
  // that this is due, or that it cannot be.
  void UpdateKey();
  // Changes it now, if that is due still.
  void UpdateKeyNow();

  // OpenSSL has sealed application data, which nobody sends.
  void Bypass();

  // Drops all that the record layer has not taken yet, but for memory that TCP has room for, and
  // closes the descriptor as soon as nothing that was reported written can be cut off. True when it
  // is closed already; else the listener hears of it.
  bool Abort();

  // The listener hears nothing any more.
  void Detach();

  // --- Its executor ---

  // Works off at most `budget` bytes. Where `patient`, it waits for the disk.
  Wait WorkAsExecutor(uint64_t budget, bool patient = false);
  // False when the queue is not the executor's any more.
  bool OwnedByExecutor();
  // The next to work is a reader; or the executor after all.
  void Lend() {
    owes_ = control_ || !records_->IsInTcp(unreported_);
    SetOwner(Owner::kReader);
  }
  void TakeBack() { SetOwner(Owner::kExecutor); }

  // --- A thread that may wait for the disk ---

  // Works off at most `budget` bytes, or only brings them in; gives the queue back.
  void WorkAsReader(uint64_t budget);

  // The executor's own notes.
  struct ExecutorState {
    bool ready = false;
    bool registered = false;
    std::chrono::milliseconds backoff{0};
    uint64_t blocked_at = 0;  // see Sender::HasMoved()
    uint64_t cold_at = 0;
    std::optional<std::chrono::steady_clock::time_point> timer;
  };
  ExecutorState& executor_state() { return executor_state_; }
  // While WorkAsExecutor() has given kClient.
  const Lingering& lingering() const { return lingering_; }

 private:
  // Who works is decided in transmit_queue.cc, how in transmit_work.cc.
  enum class Owner { kNobody, kCaller, kExecutor, kReader };
  // Of the transmit key: it is to be changed before the next data; now; it cannot be.
  enum class Key { kGood, kDue, kDueNow, kUsedUp };
  // Of the sending side: close_notify or a fatal alert is sent, after which no record may
  // follow (RFC 8446 6.1, 6.2); the FIN too.
  enum class End { kOpen, kNotified, kShutDown };
  enum class Next { kNothing, kFlush, kControl, kItem, kEnd };

  void SetOwner(Owner owner);
  Wait Work(uint64_t budget, bool patient);
  bool WorkInline(Outcome* outcome);
  void WorkUnasked();
  Next TakeNext();
  Wait Flush();
  Wait WorkRecord(std::unique_ptr<TransmitItem>* item);
  Wait CloseRecord();
  bool KeyUpdateIsDue() const;
  std::deque<TransmitItem> DropAtEnd();
  Wait WorkItem(uint64_t* budget);
  Wait SendBody(uint64_t* budget);
  Wait ShutDown();
  Wait FinishAborted();
  // All that was taken is about to be reported as written.
  void Owe() {
    unreported_ = 0;
    owes_ = true;
  }
  void KeyUpdated();
  void Finish();
  Wait Fail(int error, const char* call);
  void Settle(Outcome outcome);
  std::shared_ptr<TransmitListener> Listener();
  void HandToExecutor();

  static inline std::atomic<uint64_t> next_id_{1};
  const uint64_t id_;
  Executor& executor_;

  std::mutex mutex_;  // guards the next eight
  std::deque<TransmitItem> items_;
  std::deque<TransmitItem> controls_;
  Key key_ = Key::kGood;
  Owner owner_ = Owner::kNobody;
  bool aborted_ = false;
  bool cut_ = false;  // by Abort(), which has shut the socket down
  Outcome failure_;
  std::shared_ptr<TransmitListener> listener_;

  // Touched by the owner alone, but for the records' counters.
  const std::unique_ptr<RecordLayer> records_;
  std::unique_ptr<TransmitItem> current_;
  std::unique_ptr<TransmitItem> control_;
  bool ending_ = false;         // aborted_, as the owner has seen it
  bool memory_may_go_ = false;  // while it ends
  uint64_t unreported_ = 0;     // bytes taken of an operation that has not ended
  // Whether a queue that is lent may hold what was reported as written. Abort() asks, too.
  std::atomic<bool> owes_{true};
  End end_ = End::kOpen;
  Lingering lingering_;
  bool patient_ = false;
  // Where the caller is at work, its operation's outcome goes here.
  std::optional<Outcome>* inline_outcome_ = nullptr;
  ExecutorState executor_state_;
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_TRANSMIT_TRANSMIT_QUEUE_H_
