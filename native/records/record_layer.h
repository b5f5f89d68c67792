// How the bytes of one promoted connection become TLS records in TCP, or without TLS go
// there as they are: the interface that the transmit queue knows. One thread at a time,
// but for the counters.
//
// What a call has taken goes out in this order and is counted; it may still have to
// wait for room in TCP. Nothing of it is lost while the connection lives: Flush() and
// IsInTcp() say when it is safe to report or to close.
#ifndef FASTIFY_KTLS_RECORDS_RECORD_LAYER_H_
#define FASTIFY_KTLS_RECORDS_RECORD_LAYER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "kernel/tcp_socket.h"
#include "openssl/keys.h"

namespace fastify_ktls {

// Record content types (RFC 8446 B.1).
inline constexpr uint8_t kAlertRecord = 21;
inline constexpr uint8_t kHandshakeRecord = 22;
inline constexpr uint8_t kDataRecord = 23;

// Bytes of plaintext in one record at most (RFC 8446 5.1).
inline constexpr size_t kMaxPlaintext = 16384;

// KeyUpdate, update_not_requested (RFC 8446 4.6.3).
inline constexpr uint8_t kKeyUpdate[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1, SSL_KEY_UPDATE_NOT_REQUESTED};

enum class Backend { kKernel, kThreads, kPlain };

// Bytes taken, or a negative errno, and the call that gave it.
struct Sent {
  ssize_t bytes;
  const char* call;
};

// The name of the call that reads a file for records that are sealed here.
inline constexpr char kReadCall[] = "read";

// Where records begin: what OpenSSL has sealed and sent before.
struct RecordStart {
  int version;
  const CipherSpec* cipher;
  uint64_t sequence;
  int64_t bytes_in_tcp;
  std::unique_ptr<KeySchedule> keys;  // null: there is no key after the present one
};

class RecordLayer {
 public:
  explicit RecordLayer(UniqueFd socket) : socket_(std::move(socket)) {}
  virtual ~RecordLayer() = default;
  RecordLayer(const RecordLayer&) = delete;
  RecordLayer& operator=(const RecordLayer&) = delete;

  virtual Backend backend() const = 0;
  TcpSocket& socket() { return socket_; }
  const TcpSocket& socket() const { return socket_; }

  // Bytes of plaintext taken; from any thread.
  uint64_t data_bytes() const { return data_bytes_.load(std::memory_order_relaxed); }
  uint64_t file_bytes() const { return file_bytes_.load(std::memory_order_relaxed); }

  // Grows with all that gets further, plaintext or not.
  virtual uint64_t progress() const { return data_bytes() + file_bytes(); }

  // Takes some of the data. `more`: what follows at once may share its record.
  // EAGAIN: TCP has no room.
  virtual Sent SendData(const uint8_t* data, size_t length, bool more) = 0;
  // Takes some of a file; 0 bytes at its end. Where not `patient`, a disk is not
  // waited for if that can be helped: EAGAIN of kReadCall.
  virtual Sent SendFile(int file, int64_t offset, size_t length, bool patient) = 0;
  // Takes one record of another content type, whole or not at all: 0 bytes, or a negative errno.
  virtual Sent SendControl(uint8_t type, const uint8_t* data, size_t length) = 0;

  // Whether a thread that waits for disks sends the file itself. Else it only reads it.
  virtual bool ReadsWhileSending() const = 0;

  // 0 once all that was taken has left for TCP; EAGAIN, or how it failed.
  virtual int Flush() = 0;
  virtual bool HasUnsent() const = 0;
  // Whether a record is open, which only more data closes: nothing else may be sent before.
  virtual bool NeedsData() const = 0;
  // Whether nothing that is sent now can reach anybody, though a call would take it.
  virtual bool IsOver() const = 0;

  virtual bool CanUpdateKey() const = 0;
  // Tells the client, and changes the key (RFC 8446 4.6.3). 0 bytes, or a negative errno;
  // after another one than EAGAIN and EINTR nothing may be sent any more.
  virtual Sent UpdateKey() = 0;
  // Whether the key has sealed as many records as it should (RFC 8446 5.5).
  virtual bool KeyIsUsedUp() = 0;

  // Whether TCP has all that was taken, but for the last `not_owed` bytes of
  // plaintext, or the connection is over, or nobody can tell.
  virtual bool IsInTcp(uint64_t not_owed) = 0;

  // Drops the keys and closes the socket.
  virtual void Close() = 0;

  // What TCP had of a connection at its end: the records of all that was taken, to the
  // byte; all that was owed; less than that; or more, which somebody must have sent past
  // the record layer.
  enum Balance { kUnknown, kExact, kOwed, kLess, kMore };
  // For tests: how many connections were closed with it.
  static uint64_t Closed(Balance balance) { return closed_[balance]; }

 protected:
  static void CountClosed(Balance balance) { closed_[balance]++; }

  TcpSocket socket_;
  std::atomic<uint64_t> data_bytes_{0};
  std::atomic<uint64_t> file_bytes_{0};

 private:
  static inline std::atomic<uint64_t> closed_[kMore + 1];
};

// AES-GCM keeps its margin for 2^24.5 records of full size (RFC 8446 5.5). The
// rest is room for what is under way when the limit is seen.
inline std::atomic<uint64_t> record_limit{1 << 24};  // tests lower it

// ChaCha20-Poly1305 has no such limit.
inline bool HasRecordLimit(const CipherSpec& cipher) { return cipher.salt_size > 0; }

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_RECORDS_RECORD_LAYER_H_
