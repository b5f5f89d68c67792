#include "records/batch_size.h"

#include <algorithm>

#include "records/record_layer.h"

namespace fastify_ktls {

namespace {

// Records of one packet (TcpSocket::Room()): into a small buffer TCP takes one for each
// round trip to the client, if it is there at once.
constexpr size_t kPacket = 4;

// However little room there is, a record is no smaller than this for want of it.
constexpr size_t kLeast = 4096;

}  // namespace

BatchSize::BatchSize(const TcpSocket& socket, size_t record)
    : record_(record), fewest_(HasSmallBuffer(socket.fd()) ? kPacket : 1) {}

size_t BatchSize::Fitting(const TcpSocket& socket, size_t length) {
  room_ = 0;
  if (length <= kLeast) return length;
  room_ = socket.Room();
  if (room_ < 0) return std::min(length, kMaxPlaintext);
  const auto room = static_cast<size_t>(room_);
  const size_t records = std::max(room / record_, fewest_ - 1);
  if (records == 0) return std::min(length, std::max(room, kLeast));
  return std::min(length, std::min(records, records_) * kMaxPlaintext);
}

void BatchSize::TakenWhole() {
  if (records_ == most_) most_ = std::min(most_ + 1, kMost);
  records_ = std::min(records_ * 2, most_);
  room_ = 0;
}

void BatchSize::TakenInPart(size_t taken, size_t given) {
  // TCP has enough that is not sent yet (tcp_notsent_lowat, man 7 tcp).
  if (room_ > static_cast<int64_t>(given))
    most_ = std::clamp((taken + record_ - 1) / record_, fewest_, kMost);
  records_ = fewest_;
  room_ = 0;
}

}  // namespace fastify_ktls
