// A connection without TLS: its bytes go to the socket as they are.
#ifndef FASTIFY_KTLS_RECORDS_NO_RECORDS_H_
#define FASTIFY_KTLS_RECORDS_NO_RECORDS_H_

#include "records/record_layer.h"

namespace fastify_ktls {

class NoRecords : public RecordLayer {
 public:
  explicit NoRecords(UniqueFd socket);

  Backend backend() const override { return Backend::kPlain; }
  Sent SendData(const uint8_t* data, size_t length, bool more) override;
  Sent SendFile(int file, int64_t offset, size_t length, bool patient) override;
  bool ReadsWhileSending() const override { return true; }
  // What a call has taken, the socket has.
  int Flush() override { return 0; }
  bool HasUnsent() const override { return false; }
  bool NeedsData() const override { return false; }
  bool IsOver() const override { return false; }
  bool IsInTcp(uint64_t not_owed) override;
  void Close() override;

  // There are no records of another type, and no keys.
  Sent SendControl(uint8_t, const uint8_t*, size_t) override { return {-EOPNOTSUPP, "sendmsg"}; }
  bool CanUpdateKey() const override { return false; }
  Sent UpdateKey() override { return {-EOPNOTSUPP, "sendmsg"}; }
  bool KeyIsUsedUp() override { return false; }

 private:
  Sent Took(ssize_t sent, const char* call, std::atomic<uint64_t>* counter);

#ifdef FASTIFY_KTLS_TESTS
  const int64_t bytes_before_;  // what TCP had
  Balance balance_ = kUnknown;  // when IsInTcp() was last asked
#endif
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_RECORDS_NO_RECORDS_H_
