#include "transmit/transmit_queue.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace fastify_ktls {

TransmitQueue::TransmitQueue(std::unique_ptr<RecordLayer> records, Executor& executor,
                             std::shared_ptr<TransmitListener> listener)
    : id_(next_id_++),
      executor_(executor),
      listener_(std::move(listener)),
      records_(std::move(records)) {
  executor_.Join();
}

TransmitQueue::~TransmitQueue() {
  if (records_->socket().fd() >= 0) executor_.Leave();
}

bool TransmitQueue::Submit(std::vector<TransmitItem> items, Outcome* outcome) {
  for (size_t i = 0; i + 1 < items.size(); i++)
    items[i].more = items[i].IsInMemory() && items[i + 1].HasBody();
  items.back().settles = true;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (aborted_ || failure_.error != 0) {
      *outcome = aborted_ ? Outcome{-ECANCELED, "sendmsg"} : failure_;
      return true;
    }
    const bool idle = owner_ == Owner::kNobody;
    for (TransmitItem& item : items) {
      if (!idle) item.Own();
      items_.push_back(std::move(item));
    }
    if (!idle) return false;
    owner_ = Owner::kCaller;
  }
  return WorkInline(outcome);
}

void TransmitQueue::SendAlert(const uint8_t* bytes, size_t length) {
  const bool close_notify = bytes[length - 1] == SSL_AD_CLOSE_NOTIFY;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (aborted_ || failure_.error != 0) return;
    (close_notify ? items_ : controls_).push_back(TransmitItem::Alert(bytes, length));
  }
  WorkUnasked();
}

void TransmitQueue::UpdateKey() {
  std::shared_ptr<TransmitListener> listener;
  bool due;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    // One answer does for all that ask meanwhile (RFC 8446 4.6.3).
    if (key_ != Key::kGood || aborted_ || failure_.error != 0) return;
    due = records_->CanUpdateKey();
    key_ = due ? Key::kDue : Key::kUsedUp;
    listener = listener_;
  }
  if (!listener) return;
  due ? listener->OnKeyDue() : listener->OnKeyUsedUp();
}

void TransmitQueue::UpdateKeyNow() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (key_ != Key::kDue) return;
    key_ = Key::kDueNow;
  }
  WorkUnasked();
}

void TransmitQueue::Bypass() {
  if (const auto listener = Listener()) listener->OnBypassed();
}

// For what nobody waits for, but whose failure is the connection's.
void TransmitQueue::WorkUnasked() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (aborted_ || owner_ != Owner::kNobody) return;
    owner_ = Owner::kCaller;
  }
  Outcome outcome;
  if (!WorkInline(&outcome)) return;
  if (const auto listener = Listener()) listener->OnSettled(outcome);
}

// By the caller, who owns the queue. As Submit().
bool TransmitQueue::WorkInline(Outcome* outcome) {
  std::optional<Outcome> settled;
  inline_outcome_ = &settled;
  const Wait wait = Work(UINT64_MAX, false);
  if (settled) *outcome = *settled;
  if (wait != Wait::kNothing) HandToExecutor();
  return settled.has_value();
}

bool TransmitQueue::Abort() {
  std::deque<TransmitItem> dropped;
  Owner owner;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (aborted_) return true;
    aborted_ = true;
    owner = owner_;
    // An alert needs some of it to close an open record.
    if (owner != Owner::kExecutor && controls_.empty()) dropped.swap(items_);
    if (owner == Owner::kNobody) owner_ = Owner::kCaller;
    // A disk may take its time, or never answer: the client need not wait for it, unless for what
    // was reported as sent, or for an alert.
    if (owner == Owner::kReader && !owes_ && controls_.empty())
      cut_ = sys.shutdown(records_->socket().fd(), SHUT_RDWR) == 0;
  }
  if (owner == Owner::kExecutor) executor_.Take(shared_from_this());
  // From a reader the executor gets it back.
  if (owner == Owner::kExecutor || owner == Owner::kReader) return false;
  std::optional<Outcome> settled;
  inline_outcome_ = &settled;
  if (Work(UINT64_MAX, false) == Wait::kNothing) return true;
  HandToExecutor();
  return false;
}

void TransmitQueue::Detach() {
  std::lock_guard<std::mutex> lock(mutex_);
  listener_.reset();
}

std::shared_ptr<TransmitListener> TransmitQueue::Listener() {
  std::lock_guard<std::mutex> lock(mutex_);
  return aborted_ ? nullptr : listener_;
}

TransmitQueue::Wait TransmitQueue::WorkAsExecutor(uint64_t budget, bool patient) {
  inline_outcome_ = nullptr;
  return Work(budget, patient);
}

bool TransmitQueue::OwnedByExecutor() {
  std::lock_guard<std::mutex> lock(mutex_);
  return owner_ == Owner::kExecutor;
}

void TransmitQueue::SetOwner(Owner owner) {
  std::lock_guard<std::mutex> lock(mutex_);
  owner_ = owner;
}

void TransmitQueue::WorkAsReader(uint64_t budget) {
  if (records_->ReadsWhileSending()) {
    // Idle now, the queue may be another's already.
    if (WorkAsExecutor(budget, true) == Wait::kNothing) return;
  } else if (Listener()) {
    current_->body->BringIn(std::min(current_->body->remaining(), budget));
  }
  HandToExecutor();
}

void TransmitQueue::HandToExecutor() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (current_) current_->Own();
    for (TransmitItem& item : items_) item.Own();
    owner_ = Owner::kExecutor;
  }
  executor_.Take(shared_from_this());
}

}  // namespace fastify_ktls
