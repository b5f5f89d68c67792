#include "records/kernel_records.h"

#include <cerrno>

#include "kernel/kernel_tls.h"
#include "records/sealing_gate.h"

namespace fastify_ktls {

namespace {

constexpr size_t kPage = 4096;

// Give up asking for TCP's figures after this many failures in turn.
constexpr int kMaxUnreadable = 8;

}  // namespace

KernelRecords::KernelRecords(UniqueFd socket, RecordStart start)
    : RecordLayer(std::move(socket)), start_(std::move(start)), at_most_(start_.sequence) {}

void KernelRecords::Close() {
  if (balance_ == kLess) IsInTcp(0);  // a reset may have come since
  CountClosed(balance_);
  socket_.Close();
  start_.keys.reset();
}

void KernelRecords::Count(std::atomic<uint64_t>* counter, ssize_t sent) {
  if (sent <= 0) return;
  counter->fetch_add(static_cast<uint64_t>(sent), std::memory_order_relaxed);
  // The record that was open, full ones, and the last one.
  at_most_ += static_cast<uint64_t>(sent) / kMaxPlaintext + 2;
}

void KernelRecords::LeaveOpen(bool open, ssize_t sent) {
  may_be_open_ = open;
  open_bytes_ = open ? (open_bytes_ + static_cast<size_t>(sent)) % kMaxPlaintext : 0;
}

// Where TCP takes little at a time (tcp_notsent_lowat, tcp_wmem, SO_SNDBUF below a
// segment or a record), it can come to hold less than it sends by itself, while the
// caller waits for it to send: MSG_MORE, which sendfile sets for all but its last
// 64 KiB, tells TCP to wait for more, and kernel TLS omits the push by which TCP's own
// sendmsg begins its wait for memory. Only a timer of 200 ms or more ends that.
int KernelRecords::Refused(int error) {
  if (error != -EAGAIN) return error;
  socket_.Push();
  one_by_one_ = socket_.HoldsLittle();
  return error;
}

Sent KernelRecords::SendData(const uint8_t* data, size_t length, bool more) {
  // The end of a record is pushed; what follows it is for another call.
  if (more && one_by_one_ && open_bytes_ + length >= kMaxPlaintext) {
    length = kMaxPlaintext - open_bytes_;
    more = false;
  }
  const iovec part = {const_cast<uint8_t*>(data), length};
  const ssize_t sent = socket_.Send(&part, 1, more ? MSG_MORE : 0);
  if (sent < 0) return {Refused(static_cast<int>(sent)), "sendmsg"};
  Count(&data_bytes_, sent);
  if (sent > 0) LeaveOpen(more, sent);
  return {sent, "sendmsg"};
}

// Records of whole pages have the fewest pieces, which the cipher takes one by
// one. After a head, or from within a page, the first record ends early for that.
size_t KernelRecords::FileBytesPerCall(int64_t offset, size_t length) const {
  const size_t room = kMaxPlaintext - open_bytes_;
  if (length <= room) return length;
  const size_t past = (static_cast<size_t>(offset) + room) % kPage;
  if (past == 0) return one_by_one_ ? room : length;
  return room > past ? room - past : room;
}

Sent KernelRecords::SendFile(int file, int64_t offset, size_t length, bool) {
  off_t from = offset;
  length = FileBytesPerCall(offset, length);
  const ssize_t sent = sys.sendfile(socket_.fd(), file, &from, length);
  if (sent < 0) return {Refused(-errno), "sendfile"};
  Count(&file_bytes_, sent);
  // A short count leaves the record open (splice's MSG_MORE).
  LeaveOpen(static_cast<size_t>(sent) < length, sent);
  return {sent, "sendfile"};
}

Sent KernelRecords::SendControl(uint8_t type, const uint8_t* data, size_t length) {
  const int error = SendControlRecord(socket_.fd(), type, data, length);
  if (error != 0) return {Refused(error), "sendmsg"};
  control_bytes_ += length;
  at_most_ += 2;
  return {0, "sendmsg"};
}

Sent KernelRecords::UpdateKey() {
  const SealingPass pass;  // to derive the key
  if (!pass) return {-ECANCELED, "sendmsg"};
  const Sent sent = SendControl(kHandshakeRecord, kKeyUpdate, sizeof(kKeyUpdate));
  if (sent.bytes != 0) return sent;
  // The client has been told, so there is no trying again.
  const int error = ChangeKey();
  return {error == -EAGAIN || error == -EINTR ? -EIO : error, "setsockopt TLS_TX"};
}

int KernelRecords::ChangeKey() {
  const int64_t sequence = NextSequence(socket_.fd(), start_.version, *start_.cipher);
  if (sequence < 0) return static_cast<int>(sequence);
  TrafficKey key;
  if (!start_.keys->Next(&key)) return -ENOMEM;
  const CryptoInfo info(start_.version, *start_.cipher, key);
  int error;
  do {
    error = EnableTransmit(socket_.fd(), info);
  } while (error == -EINTR);
  if (error != 0) return error;
  earlier_records_ += static_cast<uint64_t>(sequence) - start_.sequence;
  start_.sequence = 0;
  at_most_ = 0;
  return 0;
}

bool KernelRecords::KeyIsUsedUp() {
  if (!HasRecordLimit(*start_.cipher) || at_most_ < record_limit) return false;
  const int64_t sequence = NextSequence(socket_.fd(), start_.version, *start_.cipher);
  if (sequence < 0) return false;
  at_most_ = static_cast<uint64_t>(sequence);
  return at_most_ >= record_limit;
}

// The kernel can hold back sealed bytes for which TCP has no room, and drops
// them when the socket is shut down or closed. Plaintext plus the overhead of
// each record is what TCP must have got.
bool KernelRecords::IsInTcp(uint64_t not_owed) {
  balance_ = kUnknown;
  const int64_t in_tcp = BytesInTcp(socket_.fd());
  // A connection that is over has nothing to save.
  if (in_tcp == -ENOTCONN) return true;
  if (in_tcp == -EAGAIN) return false;
  const int64_t sequence = NextSequence(socket_.fd(), start_.version, *start_.cipher);
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

}  // namespace fastify_ktls
