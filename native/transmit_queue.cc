#include "transmit_queue.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sender.h"

namespace fastify_ktls {

namespace {

using Clock = std::chrono::steady_clock;

// How long a destroyed connection may keep its descriptor without progress
// while bytes that were reported written still wait for room in TCP.
constexpr std::chrono::seconds kLingerTimeout{30};

std::atomic<uint64_t> next_id{1};

}  // namespace

TransmitItem TransmitItem::Data(const uint8_t* bytes, uint64_t length) {
  TransmitItem item;
  item.kind = Kind::kData;
  item.bytes = bytes;
  item.remaining = length;
  return item;
}

TransmitItem TransmitItem::File(UniqueFd file, int64_t offset, uint64_t length) {
  TransmitItem item;
  item.kind = Kind::kFile;
  item.file = std::move(file);
  item.offset = offset;
  item.remaining = length;
  return item;
}

TransmitItem TransmitItem::Alert(const uint8_t* bytes, uint64_t length) {
  TransmitItem item = Data(bytes, length);
  item.kind = Kind::kAlert;
  item.Own();
  return item;
}

TransmitItem TransmitItem::KeyUpdate() {
  TransmitItem item;
  item.kind = Kind::kKeyUpdate;
  return item;
}

TransmitItem TransmitItem::Shutdown() { return TransmitItem(); }

void TransmitItem::Own() {
  if (bytes == nullptr || owned || remaining == 0) return;
  owned.reset(new uint8_t[remaining]);
  memcpy(owned.get(), bytes, remaining);
  bytes = owned.get();
}

TransmitQueue::TransmitQueue(UniqueFd socket, RecordStream::Start start,
                             std::shared_ptr<TransmitListener> listener)
    : id_(next_id++),
      listener_(std::move(listener)),
      stream_(std::move(socket), std::move(start)) {}

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
  RequireKeyUpdate();
  WorkUnasked();
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
  if (const auto listener = Listener()) listener->OnSettled(id_, outcome);
}

// By the caller, who owns the queue. As Submit().
bool TransmitQueue::WorkInline(Outcome* outcome) {
  inline_ = true;
  inline_settled_ = false;
  const Progress progress = Work(UINT64_MAX);
  inline_ = false;
  const bool settled = inline_settled_;
  *outcome = inline_outcome_;
  if (progress != Progress::kIdle && progress != Progress::kClosed) HandToSender();
  return settled;
}

void TransmitQueue::RequireKeyUpdate() {
  std::shared_ptr<TransmitListener> listener;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    // One answer does for all that ask meanwhile (RFC 8446 4.6.3).
    if (key_update_required_ || aborted_ || failure_.error != 0) return;
    key_update_required_ = true;
    if (stream_.can_update_key()) {
      controls_.push_back(TransmitItem::KeyUpdate());
    } else {
      listener = listener_;
    }
  }
  if (listener) listener->OnKeyUsedUp(id_);
}

bool TransmitQueue::Abort() {
  std::deque<TransmitItem> dropped;
  bool sender_owns;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (aborted_) return true;
    aborted_ = true;
    dropped.swap(items_);
    if (owner_ == Owner::kNobody) owner_ = Owner::kCaller;
    sender_owns = owner_ == Owner::kSender;
  }
  if (sender_owns) {
    Sender::Instance().Take(shared_from_this());
    return false;
  }
  if (Work(UINT64_MAX) == Progress::kClosed) return true;
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

void TransmitQueue::HandToSender() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (current_) current_->Own();
    for (TransmitItem& item : items_) item.Own();
    owner_ = Owner::kSender;
  }
  Sender::Instance().Take(shared_from_this());
}

TransmitQueue::Next TransmitQueue::TakeNext() {
  std::lock_guard<std::mutex> lock(mutex_);
  ending_ = aborted_;
  if (!control_ && !controls_.empty()) {
    control_ = std::make_unique<TransmitItem>(std::move(controls_.front()));
    controls_.pop_front();
  }
  if (control_) return Next::kControl;
  if (ending_) return Next::kEnd;
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

TransmitQueue::Progress TransmitQueue::Work(uint64_t budget) {
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
        progress = WorkItem(current_.get(), &budget);
        break;
    }
    if (stream_.KeyIsUsedUp()) RequireKeyUpdate();
    if (progress != Progress::kIdle) return progress;
    if (budget == 0) return Progress::kTurnOver;
  }
}

// kIdle, as below: the item is done, or failed and gone.
TransmitQueue::Progress TransmitQueue::WorkRecord(std::unique_ptr<TransmitItem>* item) {
  const bool is_key_update = (*item)->kind == TransmitItem::Kind::kKeyUpdate;
  if (shut_down_ || (is_key_update && ending_)) {
    item->reset();
    return Progress::kIdle;
  }
  const int error = is_key_update
                        ? stream_.AnnounceKeyUpdate()
                        : stream_.SendRecord(kAlertRecord, (*item)->bytes, (*item)->remaining);
  if (error == -EINTR) return Progress::kTurnOver;
  if (error == -EAGAIN && !ending_) return Progress::kBlocked;
  if (error == -EAGAIN && !LingerIsOver()) return Progress::kDraining;
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

void TransmitQueue::ChangeKey() {
  if (const int error = stream_.ChangeKey(); error != 0) return Fail(error, "setsockopt TLS_TX");
  {
    std::lock_guard<std::mutex> lock(mutex_);
    key_update_required_ = false;
  }
  if (const auto listener = Listener()) listener->OnKeyUpdated(id_);
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
        stream_.SendData(item->bytes, std::min(item->remaining, *budget), item->more);
    if (sent == -EINTR) continue;
    if (sent == -EAGAIN) return Progress::kBlocked;
    if (sent < 0) {
      Fail(static_cast<int>(sent), "sendmsg");
      return Progress::kIdle;
    }
    item->bytes += sent;
    Took(item, static_cast<uint64_t>(sent), budget);
  }
  Finish();
  return Progress::kIdle;
}

TransmitQueue::Progress TransmitQueue::SendFileRange(TransmitItem* item, uint64_t* budget) {
  // sendfile waits for the disk; the connection's own thread must not.
  if (inline_ && item->remaining > 0) return Progress::kNeedsSender;
  while (item->remaining > 0) {
    if (*budget == 0) return Progress::kTurnOver;
    const ssize_t sent =
        stream_.SendFile(item->file.get(), item->offset, std::min(item->remaining, *budget));
    if (sent == -EINTR) return Progress::kTurnOver;
    if (sent == -EAGAIN) return Progress::kBlocked;
    if (sent <= 0) {
      Fail(sent < 0 ? static_cast<int>(sent) : -ENODATA, "sendfile");
      return Progress::kIdle;
    }
    item->offset += sent;
    Took(item, static_cast<uint64_t>(sent), budget);
  }
  Finish();
  return Progress::kIdle;
}

TransmitQueue::Progress TransmitQueue::ShutDown() {
  if (!stream_.IsInTcp(unreported_)) return Progress::kDraining;
  if (sys.shutdown(stream_.fd(), SHUT_WR) != 0) {
    Fail(-errno, "shutdown");
  } else {
    shut_down_ = true;
    Finish();
  }
  return Progress::kIdle;
}

TransmitQueue::Progress TransmitQueue::FinishAborted() {
  current_.reset();
  if (!shut_down_ && !stream_.IsInTcp(unreported_) && !LingerIsOver()) return Progress::kDraining;
  Sender::Instance().Forget(*this);
  stream_.Close();
  std::shared_ptr<TransmitListener> listener;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    // The caller who closes at once is told by Abort()'s return value.
    if (owner_ == Owner::kSender) listener = listener_;
    owner_ = Owner::kNobody;
  }
  if (listener) listener->OnClosed(id_);
  return Progress::kClosed;
}

void TransmitQueue::Took(TransmitItem* item, uint64_t bytes, uint64_t* budget) {
  item->remaining -= bytes;
  *budget -= bytes;
  unreported_ += bytes;
}

void TransmitQueue::Finish() {
  const bool settles = current_->settles;
  if (!current_->more) unreported_ = 0;
  current_.reset();
  if (settles) Settle({});
}

// Everything that waits fails with it, in one outcome.
void TransmitQueue::Fail(int error, const char* call) {
  current_.reset();
  std::deque<TransmitItem> dropped, dropped_controls;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    failure_ = {error, call};
    dropped.swap(items_);
    dropped_controls.swap(controls_);
  }
  Settle({error, call});
}

void TransmitQueue::Settle(Outcome outcome) {
  if (inline_) {
    inline_settled_ = true;
    inline_outcome_ = outcome;
  } else if (const auto listener = Listener()) {
    listener->OnSettled(id_, outcome);
  }
}

bool TransmitQueue::LingerIsOver() {
  int error = 0;
  socklen_t length = sizeof(error);
  if (sys.getsockopt(stream_.fd(), SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error != 0)
    return true;
  const int64_t in_tcp = BytesInTcp(stream_.fd());
  const Clock::time_point now = Clock::now();
  if (in_tcp != lingering_bytes_) {
    lingering_bytes_ = in_tcp;
    linger_until_ = now + kLingerTimeout;
  }
  return now >= linger_until_;
}

}  // namespace fastify_ktls
