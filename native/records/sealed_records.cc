#include "records/sealed_records.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/page_cache.h"
#include "records/sealing_gate.h"

namespace fastify_ktls {

namespace {

// Header, explicit nonce, plaintext, inner content type, tag: never more than this.
constexpr size_t kMaxRecord = kRecordHeaderSize + 8 + kMaxPlaintext + 1 + kTagSize;

// Where records are made. It belongs to the thread, so that connections cost none.
uint8_t* Scratch() {
  static thread_local const std::unique_ptr<uint8_t[]> scratch(
      new uint8_t[BatchSize::kMost * kMaxRecord]);
  return scratch.get();
}

// Some file systems have no RWF_NOWAIT. A read that waits has nothing more to wait for.
int ReadError(int error, bool patient) {
  if (patient) return error == EAGAIN ? -EIO : -error;
  return error == EOPNOTSUPP ? -EAGAIN : -error;
}

}  // namespace

SealedRecords::SealedRecords(UniqueFd socket, RecordStart start, std::unique_ptr<Sealer> sealer)
    : RecordLayer(std::move(socket)),
      start_(std::move(start)),
      sealer_(std::move(sealer)),
      batch_(socket_, RecordSize(kMaxPlaintext)) {}

void SealedRecords::Close() {
  if (balance_ == kLess) balance_ = TakeBalance();  // a reset may have come since
  CountClosed(balance_);
  socket_.Close();
  start_.keys.reset();
  sealer_.reset();
  Drop();
}

RecordLayer::Balance SealedRecords::TakeBalance() const {
  const int64_t in_tcp = BytesInTcp(socket_.fd());
  if (in_tcp < 0) return kUnknown;
  const auto got = static_cast<uint64_t>(in_tcp - start_.bytes_in_tcp);
  if (got != sent_bytes_) return got > sent_bytes_ ? kMore : kLess;
  return unsent_.empty() ? kExact : kOwed;
}

size_t SealedRecords::RecordSize(size_t plaintext) const {
  return sealer_->head_size() + plaintext + sealer_->tail_size();
}

void SealedRecords::Keep(const uint8_t* records, size_t size) {
  unsent_.insert(unsent_.end(), records, records + size);
}

// With its memory, which clear() keeps.
void SealedRecords::Drop() { std::vector<uint8_t>().swap(unsent_); }

// Gives TCP what is unsent, then the records; keeps what it does not take.
Sent SealedRecords::Deliver(uint8_t* records, size_t size) {
  iovec parts[2] = {{unsent_.data(), unsent_.size()}, {records, size}};
  const bool both = !unsent_.empty();
  const ssize_t sent = both ? socket_.Send(parts, 2, 0) : socket_.Send(parts + 1, 1, 0);
  if (sent < 0 && sent != -EAGAIN && sent != -EINTR) return {sent, "sendmsg"};
  const size_t taken = sent > 0 ? static_cast<size_t>(sent) : 0;
  sent_bytes_ += taken;
  blocked_ = taken < unsent_.size() + size;
  if (!blocked_) {
    Drop();
    batch_.TakenWhole();
    return {0, nullptr};
  }
  batch_.TakenInPart(taken, unsent_.size() + size);
  const size_t old = std::min(taken, unsent_.size());
  unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<ptrdiff_t>(old));
  Keep(records + (taken - old), size - (taken - old));
  return {0, nullptr};
}

int SealedRecords::Flush() {
  while (!unsent_.empty()) {
    const iovec part = {unsent_.data(), unsent_.size()};
    const ssize_t sent = socket_.Send(&part, 1, 0);
    if (sent == -EINTR) continue;
    if (sent < 0) {
      blocked_ = true;
      return static_cast<int>(sent);
    }
    sent_bytes_ += static_cast<size_t>(sent);
    unsent_.erase(unsent_.begin(), unsent_.begin() + sent);
  }
  Drop();
  blocked_ = false;
  return 0;
}

// What ends its data, and is less than a record, waits to go out with what follows.
Sent SealedRecords::SendData(const uint8_t* data, size_t length, bool more) {
  if (blocked_)
    if (const int error = Flush(); error != 0) return {error, "sendmsg"};
  const size_t whole = length;
  length = batch_.Fitting(socket_, length);
  uint8_t* const scratch = Scratch();
  uint8_t* end = scratch;
  const SealingPass pass;
  if (!pass) return {-ECANCELED, "seal"};
  for (size_t done = 0; done < length;) {
    const size_t plaintext = std::min(length - done, kMaxPlaintext);
    memcpy(end + sealer_->head_size(), data + done, plaintext);
    const size_t size = sealer_->Seal(end, kDataRecord, plaintext);
    if (size == 0) return {-EIO, "seal"};
    end += size;
    done += plaintext;
  }
  const auto size = static_cast<size_t>(end - scratch);
  if (more && length == whole && unsent_.size() + size <= kMaxRecord) {
    Keep(scratch, size);
  } else if (const Sent sent = Deliver(scratch, size); sent.bytes < 0) {
    return sent;
  }
  data_bytes_.fetch_add(length, std::memory_order_relaxed);
  return {static_cast<ssize_t>(length), "sendmsg"};
}

Sent SealedRecords::SendFile(int file, int64_t offset, size_t length, bool patient) {
  if (blocked_)
    if (const int error = Flush(); error != 0) return {error, "sendmsg"};
  length = batch_.Fitting(socket_, length);
  const size_t count = (length + kMaxPlaintext - 1) / kMaxPlaintext;
  // The file is read to where its records are sealed: one slot a record.
  const size_t slot = RecordSize(kMaxPlaintext);
  uint8_t* const scratch = Scratch();
  iovec parts[BatchSize::kMost];
  for (size_t i = 0; i < count; i++)
    parts[i] = {scratch + i * slot + sealer_->head_size(),
                std::min(length - i * kMaxPlaintext, kMaxPlaintext)};
  const auto pieces = static_cast<int>(count);
  const ssize_t got = patient ? sys.preadv2(file, parts, pieces, offset, 0)
                              : ReadWithoutWaiting(file, parts, pieces, offset);
  if (got < 0) return {ReadError(errno, patient), kReadCall};
  if (got == 0) return {0, kReadCall};
  length = static_cast<size_t>(got);
  const SealingPass pass;
  if (!pass) return {-ECANCELED, "seal"};
  size_t size = 0;
  for (size_t done = 0; done < length; done += kMaxPlaintext) {
    const size_t sealed =
        sealer_->Seal(scratch + size, kDataRecord, std::min(length - done, kMaxPlaintext));
    if (sealed == 0) return {-EIO, "seal"};
    size += sealed;
  }
  if (const Sent sent = Deliver(scratch, size); sent.bytes < 0) return sent;
  file_bytes_.fetch_add(length, std::memory_order_relaxed);
  return {got, kReadCall};
}

Sent SealedRecords::SendControl(uint8_t type, const uint8_t* data, size_t length) {
  if (blocked_)
    if (const int error = Flush(); error != 0) return {error, "sendmsg"};
  uint8_t* const scratch = Scratch();
  memcpy(scratch + sealer_->head_size(), data, length);
  const SealingPass pass;
  if (!pass) return {-ECANCELED, "seal"};
  const size_t size = sealer_->Seal(scratch, type, length);
  if (size == 0) return {-EIO, "seal"};
  return Deliver(scratch, size);
}

Sent SealedRecords::UpdateKey() {
  const Sent sent = SendControl(kHandshakeRecord, kKeyUpdate, sizeof(kKeyUpdate));
  if (sent.bytes != 0) return sent;
  const SealingPass pass;
  TrafficKey key;
  if (!pass || !start_.keys->Next(&key) || !sealer_->SetKey(key)) return {-EIO, "seal"};
  return {0, nullptr};
}

bool SealedRecords::KeyIsUsedUp() {
  return HasRecordLimit(*start_.cipher) && sealer_->sequence() >= record_limit;
}

// What was reported as written has left; the rest may go with the connection.
bool SealedRecords::IsInTcp(uint64_t not_owed) {
  const bool is = not_owed > 0 || Flush() != -EAGAIN;
  balance_ = TakeBalance();
  return is;
}

}  // namespace fastify_ktls
