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

TransmitItem TransmitItem::Record(uint8_t type, const uint8_t* bytes, uint64_t length) {
  TransmitItem item = Data(bytes, length);
  item.kind = Kind::kRecord;
  item.record_type = type;
  return item;
}

TransmitItem TransmitItem::Shutdown() { return TransmitItem(); }

void TransmitItem::Own() {
  if (bytes == nullptr || owned || remaining == 0) return;
  owned.reset(new uint8_t[remaining]);
  memcpy(owned.get(), bytes, remaining);
  bytes = owned.get();
}

TransmitQueue::TransmitQueue(UniqueFd socket, const Start& start,
                             std::shared_ptr<TransmitListener> listener)
    : id_(next_id++), start_(start), listener_(std::move(listener)), socket_(std::move(socket)) {}

bool TransmitQueue::Submit(std::vector<TransmitItem> items, bool detached, Outcome* outcome) {
  for (size_t i = 0; i + 1 < items.size(); i++)
    items[i].more = items[i].kind == TransmitItem::Kind::kData && items[i + 1].remaining > 0;
  items.back().settles = !detached;
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
  inline_ = true;
  inline_settled_ = false;
  const Progress progress = Work(UINT64_MAX);
  inline_ = false;
  if (progress != Progress::kIdle) HandToSender();
  if (inline_settled_) *outcome = inline_outcome_;
  return inline_settled_;
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

TransmitQueue::Progress TransmitQueue::Work(uint64_t budget) {
  for (;;) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (aborted_) break;
      if (!current_) {
        if (items_.empty()) {
          owner_ = Owner::kNobody;
          return Progress::kIdle;
        }
        current_ = std::make_unique<TransmitItem>(std::move(items_.front()));
        items_.pop_front();
      }
    }
    const Progress progress = WorkItem(current_.get(), &budget);
    if (progress != Progress::kIdle) return progress;
    if (budget == 0) return Progress::kTurnOver;
  }
  return FinishAborted();
}

// kIdle: the item is done, or failed and gone.
TransmitQueue::Progress TransmitQueue::WorkItem(TransmitItem* item, uint64_t* budget) {
  switch (item->kind) {
    case TransmitItem::Kind::kData:
      return SendSome(item, budget);
    case TransmitItem::Kind::kFile:
      return SendFileRange(item, budget);
    case TransmitItem::Kind::kRecord: {
      const int error = SendControlRecord(fd(), item->record_type, item->bytes, item->remaining);
      if (error == -EAGAIN) return Progress::kBlocked;
      if (error == -EINTR) return Progress::kTurnOver;
      if (error != 0) {
        Fail(error, "sendmsg");
      } else {
        record_bytes_ += item->remaining;
        Finish(item);
      }
      return Progress::kIdle;
    }
    case TransmitItem::Kind::kShutdown:
      return ShutDown(item);
  }
  return Progress::kIdle;
}

TransmitQueue::Progress TransmitQueue::SendSome(TransmitItem* item, uint64_t* budget) {
  while (item->remaining > 0) {
    if (*budget == 0) return Progress::kTurnOver;
    const ssize_t sent =
        SendData(fd(), item->bytes, std::min(item->remaining, *budget), item->more);
    if (sent == -EINTR) continue;
    if (sent == -EAGAIN) return Progress::kBlocked;
    if (sent < 0) {
      Fail(static_cast<int>(sent), "sendmsg");
      return Progress::kIdle;
    }
    item->bytes += sent;
    item->remaining -= static_cast<uint64_t>(sent);
    *budget -= static_cast<uint64_t>(sent);
    Took(&data_bytes_, static_cast<uint64_t>(sent));
  }
  Finish(item);
  return Progress::kIdle;
}

TransmitQueue::Progress TransmitQueue::SendFileRange(TransmitItem* item, uint64_t* budget) {
  // sendfile waits for the disk; the connection's own thread must not.
  if (inline_ && item->remaining > 0) return Progress::kNeedsSender;
  while (item->remaining > 0) {
    if (*budget == 0) return Progress::kTurnOver;
    off_t offset = item->offset;
    const ssize_t sent =
        sys.sendfile(fd(), item->file.get(), &offset, std::min(item->remaining, *budget));
    if (sent < 0 && errno == EINTR) return Progress::kTurnOver;
    if (sent < 0 && errno == EAGAIN) return Progress::kBlocked;
    if (sent <= 0) {
      Fail(sent < 0 ? -errno : -ENODATA, "sendfile");
      return Progress::kIdle;
    }
    item->offset += sent;
    item->remaining -= static_cast<uint64_t>(sent);
    *budget -= static_cast<uint64_t>(sent);
    Took(&file_bytes_, static_cast<uint64_t>(sent));
  }
  Finish(item);
  return Progress::kIdle;
}

TransmitQueue::Progress TransmitQueue::ShutDown(TransmitItem* item) {
  if (!AllReportedIsInTcp()) return Progress::kDraining;
  if (sys.shutdown(fd(), SHUT_WR) != 0) {
    Fail(-errno, "shutdown");
  } else {
    shut_down_ = true;
    Finish(item);
  }
  return Progress::kIdle;
}

TransmitQueue::Progress TransmitQueue::FinishAborted() {
  current_.reset();
  if (!shut_down_ && !AllReportedIsInTcp() && !LingerIsOver()) return Progress::kDraining;
  Sender::Instance().Forget(*this);
  socket_.Reset();
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

void TransmitQueue::Took(std::atomic<uint64_t>* counter, uint64_t bytes) {
  counter->fetch_add(bytes, std::memory_order_relaxed);
  unreported_ += bytes;
}

void TransmitQueue::Finish(TransmitItem* item) {
  const bool settles = item->settles;
  if (!item->more) unreported_ = 0;
  current_.reset();
  if (settles) Settle({});
}

void TransmitQueue::Fail(int error, const char* call) {
  bool settles = current_->settles;
  current_.reset();
  std::deque<TransmitItem> dropped;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    failure_ = {error, call};
    dropped.swap(items_);
  }
  for (const TransmitItem& item : dropped) settles = settles || item.settles;
  if (settles) Settle({error, call});
}

void TransmitQueue::Settle(Outcome outcome) {
  if (inline_) {
    inline_settled_ = true;
    inline_outcome_ = outcome;
    return;
  }
  std::shared_ptr<TransmitListener> listener;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!aborted_) listener = listener_;
  }
  if (listener) listener->OnSettled(id_, outcome);
}

// The kernel can hold back sealed bytes for which TCP has no room, and drops
// them when the socket is shut down or closed. Plaintext plus the overhead of
// each record is what TCP must have got; what was taken of an operation that
// was never reported as written is not owed.
bool TransmitQueue::AllReportedIsInTcp() {
  const int64_t in_tcp = BytesInTcp(fd());
  if (in_tcp == -EAGAIN) return false;
  const int64_t sequence = NextSequence(fd(), start_.version, *start_.cipher);
  // A connection that is over has nothing to save.
  if (in_tcp < 0 || sequence < 0) return true;
  const uint64_t records = static_cast<uint64_t>(sequence) - start_.sequence;
  const uint64_t owed = data_bytes() + file_bytes() + record_bytes_ - unreported_ +
                        records * RecordOverhead(start_.version, *start_.cipher);
  return static_cast<uint64_t>(in_tcp - start_.bytes_in_tcp) >= owed;
}

bool TransmitQueue::LingerIsOver() {
  int error = 0;
  socklen_t length = sizeof(error);
  if (sys.getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0) return true;
  const int64_t in_tcp = BytesInTcp(fd());
  const Clock::time_point now = Clock::now();
  if (in_tcp != lingering_bytes_) {
    lingering_bytes_ = in_tcp;
    linger_until_ = now + kLingerTimeout;
  }
  return now >= linger_until_;
}

}  // namespace fastify_ktls
