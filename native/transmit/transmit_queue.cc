#include "transmit/transmit_queue.h"

#include <algorithm>
#include <cerrno>

#include "kernel/page_cache.h"
#include "transmit/cold_readers.h"
#include "transmit/sender.h"

namespace fastify_ktls {

namespace {

std::atomic<uint64_t> next_id{1};

// Not by this thread, unless the page cache has answered for the file.
void CloseFile(TransmitItem* item) {
  if (item->file && item->cached_until == 0) ColdReaders::Instance().Close(std::move(item->file));
}

}  // namespace

TransmitQueue::TransmitQueue(UniqueFd socket, RecordStream::Start start, Sender& sender,
                             std::shared_ptr<TransmitListener> listener)
    : id_(next_id++),
      sender_(sender),
      listener_(std::move(listener)),
      stream_(std::move(socket), std::move(start)) {
  sender_.Join();
}

TransmitQueue::~TransmitQueue() {
  if (stream_.fd() >= 0) sender_.Leave();
}

bool TransmitQueue::Submit(std::vector<TransmitItem> items, Outcome* outcome) {
  for (size_t i = 0; i + 1 < items.size(); i++)
    items[i].more = items[i].kind == TransmitItem::Kind::kData && items[i + 1].remaining > 0;
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
    due = stream_.can_update_key();
    key_ = due ? Key::kDue : Key::kUsedUp;
    listener = listener_;
  }
  if (!listener) return;
  if (due)
    listener->OnKeyDue();
  else
    listener->OnKeyUsedUp();
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
  inline_settled_ = false;
  const Progress progress = Work(UINT64_MAX, Owner::kCaller, false);
  const bool settled = inline_settled_;
  *outcome = inline_outcome_;
  if (progress != Progress::kIdle && progress != Progress::kClosed) HandToSender();
  return settled;
}

bool TransmitQueue::Abort() {
  std::deque<TransmitItem> dropped;
  bool sender_owns, reader_owns;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (aborted_) return true;
    aborted_ = true;
    dropped.swap(items_);
    if (owner_ == Owner::kNobody) owner_ = Owner::kCaller;
    sender_owns = owner_ == Owner::kSender;
    reader_owns = owner_ == Owner::kReader;  // the sender gets it back
  }
  for (TransmitItem& item : dropped) CloseFile(&item);
  if (sender_owns) {
    sender_.Take(shared_from_this());
    return false;
  }
  if (reader_owns) return false;
  if (Work(UINT64_MAX, Owner::kCaller, false) == Progress::kClosed) return true;
  HandToSender();
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

bool TransmitQueue::OwnedBySender() {
  std::lock_guard<std::mutex> lock(mutex_);
  return owner_ == Owner::kSender;
}

TransmitQueue::Progress TransmitQueue::WorkAsSender(uint64_t budget, bool patient) {
  return Work(budget, Owner::kSender, patient);
}

void TransmitQueue::LendToReader() {
  std::lock_guard<std::mutex> lock(mutex_);
  owner_ = Owner::kReader;
}

void TransmitQueue::WorkAsReader(uint64_t budget) {
  const Progress progress = Work(budget, Owner::kReader, true);
  if (progress != Progress::kIdle && progress != Progress::kClosed) HandToSender();
}

void TransmitQueue::HandToSender() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (current_) current_->Own();
    for (TransmitItem& item : items_) item.Own();
    owner_ = Owner::kSender;
  }
  sender_.Take(shared_from_this());
}

TransmitQueue::Next TransmitQueue::TakeNext() {
  std::lock_guard<std::mutex> lock(mutex_);
  ending_ = aborted_;
  if (!control_ && !controls_.empty()) {
    control_ = std::make_unique<TransmitItem>(std::move(controls_.front()));
    controls_.pop_front();
  }
  if (!control_ && KeyUpdateIsDue())
    control_ = std::make_unique<TransmitItem>(TransmitItem::KeyUpdate());
  // More data closes an open record first. An abort may have left none.
  const bool held_up = stream_.may_be_open() && (current_ || !items_.empty());
  if (control_ && !held_up) return Next::kControl;
  if (!control_ && ending_) return Next::kEnd;
  if (!current_) {
    if (items_.empty()) {
      owner_ = Owner::kNobody;
      return Next::kNothing;
    }
    current_ = std::make_unique<TransmitItem>(std::move(items_.front()));
    items_.pop_front();
  }
  return Next::kItem;
}

// Whether the key is to be changed before anything else. By the owner, who holds the
// mutex.
bool TransmitQueue::KeyUpdateIsDue() const {
  if (key_ == Key::kGood || key_ == Key::kUsedUp || failure_.error != 0) return false;
  if (ending_ || closing_ || shut_down_) return false;
  if (key_ == Key::kDueNow) return true;
  if (!current_ && items_.empty()) return false;
  const TransmitItem& next = current_ ? *current_ : items_.front();
  return next.remaining > 0 && next.kind != TransmitItem::Kind::kAlert;
}

TransmitQueue::Progress TransmitQueue::Work(uint64_t budget, Owner worker, bool patient) {
  worker_ = worker;
  patient_ = patient;
  for (;;) {
    Progress progress = Progress::kIdle;
    switch (TakeNext()) {
      case Next::kNothing:
        return Progress::kIdle;
      case Next::kEnd:
        return FinishAborted();
      case Next::kControl:
        progress = WorkRecord(&control_);
        break;
      case Next::kItem:
        progress = control_ ? CloseRecord() : WorkItem(current_.get(), &budget);
        break;
    }
    if (progress == Progress::kBlocked && ending_) {
      if (!stream_.HasStalled()) return Progress::kDraining;
      control_.reset();
      progress = Progress::kIdle;
    }
    if (stream_.KeyIsUsedUp()) UpdateKey();
    if (progress != Progress::kIdle) return progress;
    if (budget == 0) return Progress::kTurnOver;
  }
}

// kIdle, as below: the item is done, or failed and gone.
TransmitQueue::Progress TransmitQueue::WorkRecord(std::unique_ptr<TransmitItem>* item) {
  const bool is_key_update = (*item)->kind == TransmitItem::Kind::kKeyUpdate;
  const bool lost = ending_ && (is_key_update || stream_.may_be_open());
  if (closing_ || shut_down_ || lost) {
    item->reset();
    return Progress::kIdle;
  }
  const int error = is_key_update
                        ? stream_.AnnounceKeyUpdate()
                        : stream_.SendRecord(kAlertRecord, (*item)->bytes, (*item)->remaining);
  if (error == -EINTR) return Progress::kTurnOver;
  if (error == -EAGAIN) return Progress::kBlocked;
  closing_ = error == 0 && item == &current_;
  item->reset();
  if (error != 0) {
    Fail(error, "sendmsg");
  } else if (is_key_update) {
    ChangeKey();
  } else {
    unreported_ = 0;  // an alert is owed with all that comes before it
  }
  return Progress::kIdle;
}

TransmitQueue::Progress TransmitQueue::CloseRecord() {
  uint64_t budget = 1;
  const Progress progress = WorkItem(current_.get(), &budget);
  return budget == 0 ? Progress::kIdle : progress;
}

void TransmitQueue::ChangeKey() {
  if (const int error = stream_.ChangeKey(); error != 0) {
    Fail(error, "setsockopt TLS_TX");
    return;
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    key_ = Key::kGood;
  }
  if (const auto listener = Listener()) listener->OnKeyUpdated();
}

TransmitQueue::Progress TransmitQueue::WorkItem(TransmitItem* item, uint64_t* budget) {
  switch (item->kind) {
    case TransmitItem::Kind::kFile:
      return SendFileRange(item, budget);
    case TransmitItem::Kind::kAlert:
      return WorkRecord(&current_);
    case TransmitItem::Kind::kShutdown:
      return ShutDown();
    default:
      return SendSome(item, budget);
  }
}

TransmitQueue::Progress TransmitQueue::SendSome(TransmitItem* item, uint64_t* budget) {
  while (item->remaining > 0) {
    if (*budget == 0) return Progress::kTurnOver;
    const ssize_t sent =
        stream_.SendData(item->bytes, std::min(item->remaining, *budget), item->more && !control_);
    if (sent == -EINTR) continue;
    if (sent == -EAGAIN) return Progress::kBlocked;
    if (sent < 0) return Fail(static_cast<int>(sent), "sendmsg");
    item->bytes += sent;
    if (!Took(item, static_cast<uint64_t>(sent), budget)) return Fail(-EPIPE, "sendmsg");
  }
  Finish();
  return Progress::kIdle;
}

TransmitQueue::Progress TransmitQueue::SendFileRange(TransmitItem* item, uint64_t* budget) {
  while (item->remaining > 0) {
    if (*budget == 0) return Progress::kTurnOver;
    const uint64_t length = std::min(item->remaining, *budget);
    if (const Progress progress = MayReadFile(item, length); progress != Progress::kIdle)
      return progress;
    const ssize_t sent = stream_.SendFile(item->file.get(), item->offset, length);
    if (sent == -EINTR) return Progress::kTurnOver;
    if (sent == -EAGAIN) {
      item->cached_until = 0;  // pages may go while the client is waited for
      return Progress::kBlocked;
    }
    if (sent <= 0) return Fail(sent < 0 ? static_cast<int>(sent) : -ENODATA, "sendfile");
    item->offset += sent;
    if (!Took(item, static_cast<uint64_t>(sent), budget)) return Fail(-EPIPE, "sendfile");
  }
  Finish();
  return Progress::kIdle;
}

// kIdle: sendfile, which waits for the disk, will not wait now, or may.
TransmitQueue::Progress TransmitQueue::MayReadFile(TransmitItem* item, uint64_t length) {
  const auto end = item->offset + static_cast<int64_t>(length);
  if (patient_ || end <= item->cached_until) return Progress::kIdle;
  if (worker_ == Owner::kCaller) return Progress::kNeedsSender;
  if (!IsCached(item->file.get(), item->offset, length))
    return stream_.IsWritable() ? Progress::kCold : Progress::kBlocked;
  item->cached_until = end;
  return Progress::kIdle;
}

TransmitQueue::Progress TransmitQueue::ShutDown() {
  if (!stream_.IsInTcp(unreported_)) return Progress::kDraining;
  if (sys.shutdown(stream_.fd(), SHUT_WR) != 0) return Fail(-errno, "shutdown");
  shut_down_ = true;
  if (current_->receiving) lingering_.ExpectMore();
  Finish();
  return Progress::kIdle;
}

TransmitQueue::Progress TransmitQueue::FinishAborted() {
  if (current_) CloseFile(current_.get());
  current_.reset();
  if (!shut_down_ && !stream_.IsInTcp(unreported_) && !stream_.HasStalled())
    return Progress::kDraining;
  if (shut_down_ && lingering_.Continues(stream_.fd())) return Progress::kLingering;
  sender_.Forget(*this);
  sender_.Leave();
  stream_.Close();
  std::shared_ptr<TransmitListener> listener;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    // The caller who closes at once is told by Abort()'s return value.
    if (worker_ != Owner::kCaller) listener = listener_;
    owner_ = Owner::kNobody;
  }
  if (listener) listener->OnClosed();
  return Progress::kClosed;
}

// False when there is more to send, and nobody to send it to.
bool TransmitQueue::Took(TransmitItem* item, uint64_t bytes, uint64_t* budget) {
  item->remaining -= bytes;
  *budget -= bytes;
  unreported_ += bytes;
  return item->remaining == 0 || !stream_.IsOver();
}

void TransmitQueue::Finish() {
  const bool settles = current_->settles;
  if (!current_->more) unreported_ = 0;
  current_.reset();
  if (settles) Settle({});
}

// Everything that waits fails with it, in one outcome. kIdle: the item is gone.
TransmitQueue::Progress TransmitQueue::Fail(int error, const char* call) {
  if (current_) CloseFile(current_.get());
  current_.reset();
  control_.reset();
  std::deque<TransmitItem> dropped, dropped_controls;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    failure_ = {error, call};
    dropped.swap(items_);
    dropped_controls.swap(controls_);
  }
  for (TransmitItem& item : dropped) CloseFile(&item);
  Settle({error, call});
  return Progress::kIdle;
}

void TransmitQueue::Settle(Outcome outcome) {
  if (worker_ == Owner::kCaller) {
    inline_settled_ = true;
    inline_outcome_ = outcome;
  } else if (const auto listener = Listener()) {
    listener->OnSettled(outcome);
  }
}

}  // namespace fastify_ktls
