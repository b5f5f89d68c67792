// The records that the kernel seals on one promoted connection.
#ifndef FASTIFY_KTLS_RECORDS_KERNEL_RECORDS_H_
#define FASTIFY_KTLS_RECORDS_KERNEL_RECORDS_H_

#include "records/record_layer.h"

namespace fastify_ktls {

class KernelRecords : public RecordLayer {
 public:
  KernelRecords(UniqueFd socket, RecordStart start);

  Backend backend() const override { return Backend::kKernel; }
  Sent SendData(const uint8_t* data, size_t length, bool more) override;
  Sent SendFile(int file, int64_t offset, size_t length, bool patient) override;
  Sent SendControl(uint8_t type, const uint8_t* data, size_t length) override;
  bool ReadsWhileSending() const override { return true; }
  // What the kernel holds back it sends by itself.
  int Flush() override { return 0; }
  bool HasUnsent() const override { return false; }
  // Before Linux 6.18, and where the cipher is asynchronous, the kernel closes an open
  // record and then forgets the type of the one to send (tls_process_cmsg: "always set
  // record_type").
  bool NeedsData() const override { return may_be_open_; }
  // Kernel TLS takes and encrypts all that it is given. It reports what it has taken, and
  // the EPIPE of TCP, which a client leaves that had ended its side before, only where
  // that is nothing (sk_stream_error() forgets it). Another error is the next call's to tell.
  bool IsOver() const override { return socket_.IsOver(); }
  // The kernel refuses a key for a connection that a network card encrypts, when the
  // client has been told already: as long as a card is at work for anybody, this
  // connection may be one of its.
  bool CanUpdateKey() const override { return start_.keys && sys.device_sockets() <= 0; }
  Sent UpdateKey() override;
  bool KeyIsUsedUp() override;
  bool IsInTcp(uint64_t not_owed) override;
  void Close() override;

 private:
  int ChangeKey();
  void Count(std::atomic<uint64_t>* counter, ssize_t sent);
  void LeaveOpen(bool open, ssize_t sent);
  size_t FileBytesPerCall(int64_t offset, size_t length) const;
  int Refused(int error);

  RecordStart start_;
  uint64_t control_bytes_ = 0;
  bool may_be_open_ = false;
  size_t open_bytes_ = 0;         // of the record that is not sealed yet
  bool one_by_one_ = false;       // TCP has room for a record at a time, if that
  uint64_t earlier_records_ = 0;  // sealed under keys before the present one
  uint64_t at_most_;              // upper bound of the present key's sequence
  Balance balance_ = kUnknown;    // when IsInTcp() was last asked
  int unreadable_ = 0;            // how often in turn the figures could not be read
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_RECORDS_KERNEL_RECORDS_H_
