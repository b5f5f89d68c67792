// The records that the kernel seals on one promoted connection: sends them,
// counts them, changes their key, and knows what TCP must have got of them.
// Counters apart, for one thread at a time.
#ifndef FASTIFY_KTLS_RECORDS_RECORD_STREAM_H_
#define FASTIFY_KTLS_RECORDS_RECORD_STREAM_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "kernel/kernel_tls.h"
#include "kernel/syscalls.h"

namespace fastify_ktls {

class RecordStream {
 public:
  // Where the stream starts: sequence number, and bytes that TCP had taken,
  // when the kernel got the key. Without `keys` there is no other key.
  struct Start {
    int version;
    const CipherSpec* cipher;
    uint64_t sequence;
    int64_t bytes_in_tcp;
    std::unique_ptr<KeySchedule> keys;
  };

  RecordStream(UniqueFd socket, Start start);

  int fd() const { return socket_.get(); }
  void Close();

  // Bytes of plaintext that the kernel has taken; from any thread.
  uint64_t data_bytes() const { return data_bytes_.load(std::memory_order_relaxed); }
  uint64_t file_bytes() const { return file_bytes_.load(std::memory_order_relaxed); }

  // Whether the socket says that it would take something.
  bool IsWritable() const;
  // Whether TCP has ended both ways, with no error left to tell of it: then kernel TLS
  // takes and encrypts all that it is given. It reports what it has taken, and the EPIPE
  // of TCP, which a client leaves that had ended its side before, only where that is
  // nothing (sk_stream_error() forgets it). Another error is the next call's to tell.
  bool IsOver() const;

  // Bytes taken, which may be fewer, or a negative errno; of a file 0 at its end.
  ssize_t SendData(const void* data, size_t length, bool more);
  ssize_t SendFile(int file, int64_t offset, size_t length);
  // Whether the kernel may hold a record back for more data to come. Nothing but
  // data may follow it: before Linux 6.18, and where the cipher is asynchronous,
  // the kernel closes it and then forgets the type of the record to send
  // (tls_process_cmsg: "always set record_type").
  bool may_be_open() const { return may_be_open_; }
  // 0 or a negative errno. The record goes whole or not at all.
  int SendRecord(uint8_t type, const void* data, size_t length);

  // Whether there is another key and the kernel will take it. It refuses one for a
  // connection that a network card encrypts, when the client has been told already:
  // as long as a card is at work for anybody, this connection may be one of its.
  bool can_update_key() const { return start_.keys != nullptr && sys.device_sockets() <= 0; }
  // Tells the client that all after this is under the next key (RFC 8446 4.6.3).
  // 0 or a negative errno.
  int AnnounceKeyUpdate();
  // To follow at once. After an error nothing may be sent any more.
  int ChangeKey();
  // Whether the key has sealed as many records as it should (RFC 8446 5.5).
  bool KeyIsUsedUp();
  // For tests: what KeyIsUsedUp() compares with from now on.
  static void LimitRecords(uint64_t limit);

  // Whether TCP has all that the kernel has taken, but for the last
  // `not_owed` bytes of plaintext, or the connection is over, or nobody can tell.
  bool IsInTcp(uint64_t not_owed);

  // Whether TCP has failed, or stood still for 30 seconds since this was first asked:
  // as long a destroyed connection may keep its descriptor for bytes that were
  // reported written and wait for room in TCP.
  bool HasStalled();

  // What TCP had of a stream when IsInTcp() was last asked: the records of all
  // that the kernel has taken, to the byte; all that was owed; less than that;
  // or more, which somebody must have sent past the kernel.
  enum Balance { kUnknown, kExact, kOwed, kLess, kMore };
  // For tests: how many streams were closed with it.
  static uint64_t Closed(Balance balance);

 private:
  void Count(std::atomic<uint64_t>* counter, ssize_t sent);
  void LeaveOpen(bool open, ssize_t sent);
  size_t FileBytesPerCall(int64_t offset, size_t length) const;
  int Refused(int error);

  UniqueFd socket_;
  Start start_;
  std::atomic<uint64_t> data_bytes_{0};
  std::atomic<uint64_t> file_bytes_{0};
  uint64_t control_bytes_ = 0;
  bool may_be_open_ = false;
  size_t open_bytes_ = 0;         // of the record that is not sealed yet
  bool one_by_one_ = false;       // TCP has room for a record at a time, if that
  uint64_t earlier_records_ = 0;  // sealed under keys before the present one
  uint64_t at_most_;              // upper bound of the present key's sequence
  Balance balance_ = kUnknown;
  int64_t stalled_bytes_ = -1;                        // what TCP had when HasStalled() saw it move
  std::chrono::steady_clock::time_point stalled_at_;  // when it counts as stalled
  int unreadable_ = 0;  // how often in turn the figures could not be read
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_RECORDS_RECORD_STREAM_H_
