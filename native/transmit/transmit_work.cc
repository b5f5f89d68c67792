// How a queue is worked off, by whoever owns it (transmit_queue.h).
#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "transmit/transmit_queue.h"

namespace fastify_ktls {

TransmitQueue::Next TransmitQueue::TakeNext() {
  // End without the mutex: they may have a file to close, or much memory to give back.
  std::deque<TransmitItem> dropped;
  std::lock_guard<std::mutex> lock(mutex_);
  if (aborted_ && !ending_) {
    ending_ = true;
    dropped = DropAtEnd();
  }
  if (cut_) {
    end_ = End::kShutDown;
    control_.reset();
  }
  if (!control_ && !controls_.empty()) {
    control_ = std::make_unique<TransmitItem>(std::move(controls_.front()));
    controls_.pop_front();
    owes_ = true;
  }
  if (!control_ && KeyUpdateIsDue())
    control_ = std::make_unique<TransmitItem>(TransmitItem::KeyUpdate());
  // More data closes an open record first. An abort may have left none.
  const bool held_up = records_->NeedsData() && (current_ || !items_.empty());
  if (control_ && !held_up) return Next::kControl;
  const bool has_memory = current_ ? current_->IsInMemory() : !items_.empty();
  if (!control_ && ending_ && !(memory_may_go_ && has_memory)) return Next::kEnd;
  if (!current_) {
    if (items_.empty()) {
      if (records_->HasUnsent() && failure_.error == 0) return Next::kFlush;
      owner_ = Owner::kNobody;
      return Next::kNothing;
    }
    current_ = std::make_unique<TransmitItem>(std::move(items_.front()));
    items_.pop_front();
  }
  return Next::kItem;
}

// What is not sent any more when the connection is cut. TCP may have what lies in memory and comes
// before all else, as libuv would have given it that at once; but not after a fatal alert (RFC 8446
// 6.2), nor under a key that the client wants changed (4.6.3). The owner holds the mutex.
std::deque<TransmitItem> TransmitQueue::DropAtEnd() {
  if (control_ && control_->kind == TransmitItem::Kind::kKeyUpdate) control_.reset();
  memory_may_go_ = !control_ && controls_.empty() && end_ == End::kOpen &&
                   (key_ == Key::kGood || key_ == Key::kUsedUp);
  auto first = items_.begin();
  if (memory_may_go_ && (!current_ || current_->IsInMemory()))
    while (first != items_.end() && first->IsInMemory()) ++first;
  // An alert needs some of what comes next to close an open record.
  const bool closes = (control_ || !controls_.empty()) && records_->NeedsData();
  if (closes && !current_ && first != items_.end()) ++first;
  std::deque<TransmitItem> dropped(std::make_move_iterator(first),
                                   std::make_move_iterator(items_.end()));
  items_.erase(first, items_.end());
  if (current_ && !memory_may_go_ && !closes) {
    dropped.push_back(std::move(*current_));
    current_.reset();
  }
  return dropped;
}

// Whether the key is to be changed before anything else. By the owner, who holds the
// mutex.
bool TransmitQueue::KeyUpdateIsDue() const {
  if (key_ == Key::kGood || key_ == Key::kUsedUp || failure_.error != 0) return false;
  if (ending_ || end_ != End::kOpen) return false;
  if (key_ == Key::kDueNow) return true;
  if (current_) return current_->HasBody();
  return !items_.empty() && items_.front().HasBody();
}

TransmitQueue::Wait TransmitQueue::Work(uint64_t budget, bool patient) {
  patient_ = patient;
  for (;;) {
    Wait wait = Wait::kNothing;
    switch (TakeNext()) {
      case Next::kNothing:
        return Wait::kNothing;
      case Next::kEnd:
        return FinishAborted();
      case Next::kFlush:
        wait = Flush();
        break;
      case Next::kControl:
        wait = WorkRecord(&control_);
        break;
      case Next::kItem:
        wait = control_ ? CloseRecord() : WorkItem(&budget);
        break;
    }
    // TCP has no more room, or had a turn's bytes.
    if (memory_may_go_ && (wait != Wait::kNothing || budget == 0)) {
      memory_may_go_ = false;
      continue;
    }
    if (wait == Wait::kSocket && ending_) {
      if (!records_->socket().HasStalled()) return Wait::kDelivery;
      control_.reset();
      wait = Wait::kNothing;
    }
    if (records_->KeyIsUsedUp()) UpdateKey();
    if (wait != Wait::kNothing) return wait;
    if (budget == 0) return Wait::kTurn;
  }
}

TransmitQueue::Wait TransmitQueue::Flush() {
  const int error = records_->Flush();
  if (error == -EAGAIN) return Wait::kSocket;
  return error == 0 ? Wait::kNothing : Fail(error, "sendmsg");
}

// kNothing, as below: the item is done, or failed and gone.
TransmitQueue::Wait TransmitQueue::WorkRecord(std::unique_ptr<TransmitItem>* item) {
  const bool is_key_update = (*item)->kind == TransmitItem::Kind::kKeyUpdate;
  const bool lost = ending_ && records_->NeedsData();
  if (end_ != End::kOpen || lost) {
    item->reset();
    return Wait::kNothing;
  }
  Sent sent;
  bool last = false;  // close_notify, or a fatal alert
  if (is_key_update) {
    sent = records_->UpdateKey();
  } else {
    const std::vector<uint8_t>& alert = (*item)->alert;
    sent = records_->SendControl(kAlertRecord, alert.data(), alert.size());
    last = item == &current_ || alert[0] == SSL3_AL_FATAL;
  }
  const auto error = static_cast<int>(sent.bytes);
  if (error == -EINTR) return Wait::kTurn;
  if (error == -EAGAIN) return Wait::kSocket;
  if (error == 0 && last) end_ = End::kNotified;
  item->reset();
  if (error != 0) {
    Fail(error, sent.call);
  } else if (is_key_update) {
    KeyUpdated();
  } else {
    Owe();  // an alert, with all that comes before it
  }
  return Wait::kNothing;
}

TransmitQueue::Wait TransmitQueue::CloseRecord() {
  uint64_t budget = 1;
  const Wait wait = WorkItem(&budget);
  return budget == 0 ? Wait::kNothing : wait;
}

void TransmitQueue::KeyUpdated() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    key_ = Key::kGood;
  }
  if (const auto listener = Listener()) listener->OnKeyUpdated();
}

TransmitQueue::Wait TransmitQueue::WorkItem(uint64_t* budget) {
  switch (current_->kind) {
    case TransmitItem::Kind::kAlert:
      return WorkRecord(&current_);
    case TransmitItem::Kind::kShutdown:
      return ShutDown();
    default:
      // As SSL_write(3) after a fatal alert; but nothing is no record.
      if (end_ != End::kOpen && current_->HasBody()) return Fail(-EPROTO, "sendmsg");
      return SendBody(budget);
  }
}

TransmitQueue::Wait TransmitQueue::SendBody(uint64_t* budget) {
  BodySource& body = *current_->body;
  const bool more = current_->more;
  while (body.remaining() > 0) {
    if (*budget == 0) return Wait::kTurn;
    uint64_t length = std::min(body.remaining(), *budget);
    if (inline_outcome_ != nullptr && length > kInlineBytes) return Wait::kTurn;
    if (!patient_ && !body.IsInMemory()) {
      length = body.AtHand(length);
      if (length == 0) return records_->socket().IsWritable() ? Wait::kDisk : Wait::kSocket;
    }
    const Sent sent = body.SendTo(*records_, length, more && !control_, patient_);
    if (sent.bytes == -EINTR) {
      if (body.IsInMemory()) continue;
      return Wait::kTurn;
    }
    if (sent.bytes == -EAGAIN) {
      body.Pause();
      return sent.call == kReadCall ? Wait::kDisk : Wait::kSocket;
    }
    if (sent.bytes == 0) return Fail(-ENODATA, sent.call);
    if (sent.bytes < 0) return Fail(static_cast<int>(sent.bytes), sent.call);
    *budget -= static_cast<uint64_t>(sent.bytes);
    unreported_ += static_cast<uint64_t>(sent.bytes);
    if (body.remaining() > 0 && records_->IsOver()) return Fail(-EPIPE, sent.call);
  }
  // Reported is what has left.
  if (!more)
    if (const Wait wait = Flush(); wait != Wait::kNothing || !current_) return wait;
  Finish();
  return Wait::kNothing;
}

TransmitQueue::Wait TransmitQueue::ShutDown() {
  if (const Wait wait = Flush(); wait != Wait::kNothing || !current_) return wait;
  if (!records_->IsInTcp(unreported_)) return Wait::kDelivery;
  if (sys.shutdown(records_->socket().fd(), SHUT_WR) != 0) return Fail(-errno, "shutdown");
  end_ = End::kShutDown;
  if (current_->receiving) lingering_.ExpectMore();
  Finish();
  return Wait::kNothing;
}

TransmitQueue::Wait TransmitQueue::FinishAborted() {
  current_.reset();
  std::deque<TransmitItem> dropped;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    dropped.swap(items_);
  }
  const bool shut_down = end_ == End::kShutDown;
  if (!shut_down && !records_->IsInTcp(unreported_) && !records_->socket().HasStalled())
    return Wait::kDelivery;
  if (shut_down && lingering_.Continues(records_->socket().fd())) return Wait::kClient;
  executor_.Forget(*this);
  executor_.Leave();
  records_->Close();
  std::shared_ptr<TransmitListener> listener;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    // The caller who closes at once is told by Abort()'s return value.
    if (inline_outcome_ == nullptr) listener = listener_;
    owner_ = Owner::kNobody;
  }
  if (listener) listener->OnClosed();
  return Wait::kNothing;
}

void TransmitQueue::Finish() {
  const bool settles = current_->settles;
  // Of what is cut nobody is told.
  if (!current_->more && !ending_) Owe();
  current_.reset();
  if (settles) Settle({});
}

// Everything that waits fails with it, in one outcome. kNothing: the item is gone.
TransmitQueue::Wait TransmitQueue::Fail(int error, const char* call) {
  current_.reset();
  control_.reset();
  std::deque<TransmitItem> dropped, dropped_controls;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    failure_ = {error, call};
    dropped.swap(items_);
    dropped_controls.swap(controls_);
  }
  Settle({error, call});
  return Wait::kNothing;
}

void TransmitQueue::Settle(Outcome outcome) {
  if (inline_outcome_ != nullptr) {
    *inline_outcome_ = outcome;
  } else if (const auto listener = Listener()) {
    listener->OnSettled(outcome);
  }
}

}  // namespace fastify_ktls
