#include "transmit/body_source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "kernel/page_cache.h"
#include "transmit/blocking_pool.h"

namespace fastify_ktls {

namespace {

// More than anybody asks for.
constexpr uint64_t kMostAhead = 64 * 1024 * 1024;

}  // namespace

void DataBody::Own() {
  if (pinned_ || owned_ || remaining() == 0) return;
  owned_.reset(new uint8_t[remaining()]);
  memcpy(owned_.get(), bytes_, remaining());
  bytes_ = owned_.get();
}

Sent DataBody::Send(RecordLayer& records, uint64_t length, bool more, bool) {
  const Sent sent = records.SendData(bytes_, length, more);
  if (sent.bytes > 0) bytes_ += sent.bytes;
  return sent;
}

FileBody::~FileBody() {
  if (file_ && !answers_) BlockingPool::Instance().Close(std::move(file_));
}

uint64_t FileBody::AtHand(uint64_t length) {
  if (at_hand_until_ <= offset_) {
    brought_in_ = false;
    if (!IsCached(file_.get(), offset_, length)) return 0;
    answers_ = true;
    at_hand_until_ = offset_ + static_cast<int64_t>(length);
  }
  return std::min(length, static_cast<uint64_t>(at_hand_until_ - offset_));
}

// Where nobody can tell what is cached, each wait for the client would have it all
// brought in once more.
void FileBody::Pause() {
  if (answers_ || !brought_in_) at_hand_until_ = 0;
}

// Reads the range, of which the page cache keeps what was not there; twice as much each
// time, as the client gets nothing of it before all is there. An error, or the end of the
// file, is kept for Send(): a disk that fails slowly is waited for once.
void FileBody::BringIn(uint64_t length) {
  length = std::min(length, ahead_);
  ahead_ = std::min(ahead_ * 2, kMostAhead);
  constexpr uint64_t kPiece = 256 * 1024;
  static thread_local const std::unique_ptr<uint8_t[]> piece(new uint8_t[kPiece]);
  uint64_t done = 0;
  while (done < length) {
    const iovec part = {piece.get(), std::min(length - done, kPiece)};
    const ssize_t got = sys.preadv2(file_.get(), &part, 1, offset_ + static_cast<int64_t>(done), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      // There is nothing to wait for where a read that waits says EAGAIN, as FUSE can.
      if (done == 0) failed_ = {got < 0 ? (errno == EAGAIN ? -EIO : -errno) : 0, kReadCall};
      break;
    }
    done += static_cast<uint64_t>(got);
  }
  at_hand_until_ = offset_ + static_cast<int64_t>(std::max<uint64_t>(done, 1));
  brought_in_ = true;
}

Sent FileBody::Send(RecordLayer& records, uint64_t length, bool, bool patient) {
  if (failed_) return *failed_;
  // What was just brought in should be there still.
  const Sent sent = records.SendFile(file_.get(), offset_, length, patient || brought_in_);
  if (sent.bytes > 0) offset_ += sent.bytes;
  return sent;
}

}  // namespace fastify_ktls
