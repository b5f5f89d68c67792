#include "records/record_stream.h"

#include <cerrno>

namespace fastify_ktls {

namespace {

constexpr size_t kMaxPlaintext = 16384;
constexpr size_t kPage = 4096;
constexpr std::chrono::seconds kStallTimeout{30};

// As often the figures are asked for again before the wait for them is given up.
constexpr int kMaxUnreadable = 8;

// KeyUpdate, update_not_requested (RFC 8446 4.6.3).
constexpr uint8_t kKeyUpdate[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1, SSL_KEY_UPDATE_NOT_REQUESTED};

// AES-GCM keeps its margin for 2^24.5 records of full size (RFC 8446 5.5). The
// rest is room for what is under way when the limit is seen.
std::atomic<uint64_t> record_limit{1 << 24};

std::atomic<uint64_t> closed[RecordStream::kMore + 1];

}  // namespace

RecordStream::RecordStream(UniqueFd socket, Start start)
    : socket_(std::move(socket)), start_(std::move(start)), at_most_(start_.sequence) {}

void RecordStream::Close() {
  if (balance_ == kLess) IsInTcp(0);  // a reset may have come since
  closed[balance_]++;
  socket_.Reset();
  start_.keys.reset();
}

uint64_t RecordStream::Closed(Balance balance) { return closed[balance]; }

void RecordStream::LimitRecords(uint64_t limit) { record_limit = limit; }

bool RecordStream::IsWritable() const {
  pollfd socket = {fd(), POLLOUT, 0};
  return sys.poll(&socket, 1, 0) != 0;
}

bool RecordStream::IsOver() const {
  pollfd socket = {fd(), 0, 0};
  return sys.poll(&socket, 1, 0) > 0 && (socket.revents & (POLLHUP | POLLERR)) == POLLHUP;
}

void RecordStream::Count(std::atomic<uint64_t>* counter, ssize_t sent) {
  if (sent <= 0) return;
  counter->fetch_add(static_cast<uint64_t>(sent), std::memory_order_relaxed);
  // The record that was open, full ones, and the last one.
  at_most_ += static_cast<uint64_t>(sent) / kMaxPlaintext + 2;
}

void RecordStream::LeaveOpen(bool open, ssize_t sent) {
  may_be_open_ = open;
  open_bytes_ = open ? (open_bytes_ + static_cast<size_t>(sent)) % kMaxPlaintext : 0;
}

// Where TCP takes little at a time (tcp_notsent_lowat, tcp_wmem, SO_SNDBUF below a
// segment or a record), it can come to hold less than it sends by itself, while the
// caller waits for it to send: MSG_MORE, which sendfile sets for all but its last
// 64 KiB, tells TCP to wait for more, and kernel TLS omits the push by which TCP's own
// sendmsg begins its wait for memory. Only a timer of 200 ms or more ends that.
int RecordStream::Refused(int error) {
  if (error != -EAGAIN) return error;
  Push(fd());
  one_by_one_ = HoldsLittle(fd());
  return error;
}

ssize_t RecordStream::SendData(const void* data, size_t length, bool more) {
  // The end of a record is pushed; what follows it is for another call.
  if (more && one_by_one_ && open_bytes_ + length >= kMaxPlaintext) {
    length = kMaxPlaintext - open_bytes_;
    more = false;
  }
  const ssize_t sent = fastify_ktls::SendData(fd(), data, length, more);
  if (sent < 0) return Refused(static_cast<int>(sent));
  Count(&data_bytes_, sent);
  if (sent > 0) LeaveOpen(more, sent);
  return sent;
}

// Records of whole pages have the fewest pieces, which the cipher takes one by
// one. After a head, or from within a page, the first record ends early for that.
size_t RecordStream::FileBytesPerCall(int64_t offset, size_t length) const {
  const size_t room = kMaxPlaintext - open_bytes_;
  if (length <= room) return length;
  const size_t past = (static_cast<size_t>(offset) + room) % kPage;
  if (past == 0) return one_by_one_ ? room : length;
  return room > past ? room - past : room;
}

ssize_t RecordStream::SendFile(int file, int64_t offset, size_t length) {
  off_t from = offset;
  length = FileBytesPerCall(offset, length);
  const ssize_t sent = sys.sendfile(fd(), file, &from, length);
  if (sent < 0) return Refused(-errno);
  Count(&file_bytes_, sent);
  // A short count leaves the record open (splice's MSG_MORE).
  LeaveOpen(static_cast<size_t>(sent) < length, sent);
  return sent;
}

int RecordStream::SendRecord(uint8_t type, const void* data, size_t length) {
  const int error = SendControlRecord(fd(), type, data, length);
  if (error != 0) return Refused(error);
  control_bytes_ += length;
  at_most_ += 2;
  return 0;
}

int RecordStream::AnnounceKeyUpdate() {
  return SendRecord(kHandshakeRecord, kKeyUpdate, sizeof(kKeyUpdate));
}

int RecordStream::ChangeKey() {
  const int64_t sequence = NextSequence(fd(), start_.version, *start_.cipher);
  if (sequence < 0) return static_cast<int>(sequence);
  CryptoInfo info(start_.version, *start_.cipher);
  if (!start_.keys->Next(&info)) return -ENOMEM;
  int error;
  do {
    error = EnableTransmit(fd(), info);
  } while (error == -EINTR);
  if (error != 0) return error;
  earlier_records_ += static_cast<uint64_t>(sequence) - start_.sequence;
  start_.sequence = 0;
  at_most_ = 0;
  return 0;
}

bool RecordStream::KeyIsUsedUp() {
  // ChaCha20-Poly1305 has no such limit.
  if (start_.cipher->salt_size == 0 || at_most_ < record_limit) return false;
  const int64_t sequence = NextSequence(fd(), start_.version, *start_.cipher);
  if (sequence < 0) return false;
  at_most_ = static_cast<uint64_t>(sequence);
  return at_most_ >= record_limit;
}

// The kernel can hold back sealed bytes for which TCP has no room, and drops
// them when the socket is shut down or closed. Plaintext plus the overhead of
// each record is what TCP must have got.
bool RecordStream::IsInTcp(uint64_t not_owed) {
  balance_ = kUnknown;
  const int64_t in_tcp = BytesInTcp(fd());
  // A connection that is over has nothing to save.
  if (in_tcp == -ENOTCONN) return true;
  if (in_tcp == -EAGAIN) return false;
  const int64_t sequence = NextSequence(fd(), start_.version, *start_.cipher);
  if (in_tcp < 0 || sequence < 0) return ++unreadable_ >= kMaxUnreadable;
  unreadable_ = 0;
  const uint64_t records = earlier_records_ + static_cast<uint64_t>(sequence) - start_.sequence;
  const uint64_t taken = data_bytes() + file_bytes() + control_bytes_ +
                         records * RecordOverhead(start_.version, *start_.cipher);
  const auto got = static_cast<uint64_t>(in_tcp - start_.bytes_in_tcp);
  if (got > taken)
    balance_ = kMore;
  else if (got == taken)
    balance_ = kExact;
  else
    balance_ = got >= taken - not_owed ? kOwed : kLess;
  return balance_ != kLess;
}

bool RecordStream::HasStalled() {
  int error = 0;
  socklen_t length = sizeof(error);
  if (sys.getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error != 0) return true;
  const int64_t in_tcp = BytesInTcp(fd());
  const auto now = std::chrono::steady_clock::now();
  if (in_tcp != stalled_bytes_) {
    stalled_bytes_ = in_tcp;
    stalled_at_ = now + kStallTimeout;
  }
  return now >= stalled_at_;
}

}  // namespace fastify_ktls
