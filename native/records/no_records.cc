#include "records/no_records.h"

#include <cerrno>

namespace fastify_ktls {

#ifdef FASTIFY_KTLS_TESTS

NoRecords::NoRecords(UniqueFd socket)
    : RecordLayer(std::move(socket)), bytes_before_(BytesInTcp(socket_.fd())) {}

bool NoRecords::IsInTcp(uint64_t) {
  const int64_t in_tcp = BytesInTcp(socket_.fd());
  balance_ = kUnknown;
  // More may be Node's already, whose the connection is again.
  if (in_tcp >= 0 && bytes_before_ >= 0)
    balance_ = in_tcp - bytes_before_ >= static_cast<int64_t>(data_bytes() + file_bytes()) ? kExact
                                                                                           : kLess;
  return true;
}

void NoRecords::Close() {
  CountClosed(balance_);
  socket_.Close();
}

#else

NoRecords::NoRecords(UniqueFd socket) : RecordLayer(std::move(socket)) {}

bool NoRecords::IsInTcp(uint64_t) { return true; }

void NoRecords::Close() { socket_.Close(); }

#endif

Sent NoRecords::Took(ssize_t sent, const char* call, std::atomic<uint64_t>* counter) {
  if (sent == -EAGAIN) socket_.Push();  // what it was told to wait with for more (MSG_MORE)
  if (sent > 0) counter->fetch_add(static_cast<uint64_t>(sent), std::memory_order_relaxed);
  return {sent, call};
}

Sent NoRecords::SendData(const uint8_t* data, size_t length, bool more) {
  const iovec part = {const_cast<uint8_t*>(data), length};
  return Took(socket_.Send(&part, 1, more ? MSG_MORE : 0), "sendmsg", &data_bytes_);
}

Sent NoRecords::SendFile(int file, int64_t offset, size_t length, bool) {
  off_t from = offset;
  const ssize_t sent = sys.sendfile(socket_.fd(), file, &from, length);
  return Took(sent >= 0 ? sent : -errno, "sendfile", &file_bytes_);
}

}  // namespace fastify_ktls
