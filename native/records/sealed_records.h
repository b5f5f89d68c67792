// The records of one promoted connection that our own threads seal: a few at a time, in
// memory of the thread's, from where TCP takes them. The connection keeps only what TCP
// had no room for.
#ifndef FASTIFY_KTLS_RECORDS_SEALED_RECORDS_H_
#define FASTIFY_KTLS_RECORDS_SEALED_RECORDS_H_

#include <vector>

#include "records/batch_size.h"
#include "records/record_layer.h"
#include "records/sealer.h"

namespace fastify_ktls {

class SealedRecords : public RecordLayer {
 public:
  SealedRecords(UniqueFd socket, RecordStart start, std::unique_ptr<Sealer> sealer);

  Backend backend() const override { return Backend::kThreads; }
  uint64_t progress() const override { return sent_bytes_; }
  Sent SendData(const uint8_t* data, size_t length, bool more) override;
  Sent SendFile(int file, int64_t offset, size_t length, bool patient) override;
  Sent SendControl(uint8_t type, const uint8_t* data, size_t length) override;
  // Sealing takes processors, of which there are fewer than threads that wait for disks.
  bool ReadsWhileSending() const override { return false; }
  int Flush() override;
  bool HasUnsent() const override { return !unsent_.empty(); }
  bool NeedsData() const override { return false; }
  bool IsOver() const override { return false; }
  bool CanUpdateKey() const override { return start_.keys != nullptr; }
  Sent UpdateKey() override;
  bool KeyIsUsedUp() override;
  bool IsInTcp(uint64_t not_owed) override;
  void Close() override;

 private:
  Balance TakeBalance() const;
  size_t RecordSize(size_t plaintext) const;
  Sent Deliver(uint8_t* records, size_t size);
  void Keep(const uint8_t* records, size_t size);
  void Drop();

  RecordStart start_;
  std::unique_ptr<Sealer> sealer_;
  std::vector<uint8_t> unsent_;  // sealed records, the first perhaps in part
  bool blocked_ = false;         // TCP had no room for them
  BatchSize batch_;
  uint64_t sent_bytes_ = 0;
  Balance balance_ = kUnknown;  // when IsInTcp() was last asked
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_RECORDS_SEALED_RECORDS_H_
