// What the kernel adds to a socket that has the ULP "tls" (net/tls/tls_main.c, tls_sw.c).
//
// As in the kernel, a call may take bytes whose record fits only partly into TCP. The
// rest is held back here. A thread hands it over when the socket has room, in place of
// the kernel's work queue, and every later send does so before anything else. shutdown()
// and close() drop it.
//
// Unlike the kernel: what is held back goes with the descriptor that attached the ULP,
// though another one of the same socket may still be open; calls never block; a call may
// take up to one record more than there is room for.
#ifndef FASTIFY_KTLS_TEST_TLS_SOCKET_H_
#define FASTIFY_KTLS_TEST_TLS_SOCKET_H_

#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "records/sealer.h"

namespace fastify_ktls_double {

inline constexpr int kSolTls = 282;

// -1, with errno set.
int Fail(int error);

// Guarded by its mutex.
class TlsSocket {
 public:
  TlsSocket(int fd, ino_t inode) : fd_(fd), inode_(inode) {}

  std::mutex mutex;

  int fd() const { return fd_; }
  bool has_key() const { return sealer_ != nullptr; }

  int SetKey(const void* info, socklen_t length);
  int GetKey(void* info, socklen_t* length) const;
  ssize_t Send(const msghdr& message, int flags);
  ssize_t SendFile(int in, off_t* offset, size_t count);
  // Hands to TCP what it takes; false when something stays or has failed.
  bool Push();
  void Drop();
  void Close();
  bool has_error() const { return error_ != 0; }
  int TakeError() { return std::exchange(error_, 0); }

 private:
  size_t Add(const uint8_t* bytes, size_t length, uint8_t type);
  void EndCall();
  void SealOpenRecord(uint8_t type);

  const int fd_;  // attached the ULP; the state goes with it
  const ino_t inode_;
  bool closed_ = false;
  fastify_ktls::SecretBytes<56> info_;  // the last TLS_TX
  std::unique_ptr<fastify_ktls::Sealer> sealer_;
  std::vector<uint8_t> open_;  // plaintext of the record that MSG_MORE left open
  std::vector<uint8_t> held_;  // sealed, not in TCP
  int error_ = 0;              // sk_err
};

// The sockets by inode, which all descriptors of a socket share.
class SocketTable {
 public:
  std::shared_ptr<TlsSocket> Find(ino_t inode) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = sockets_.find(inode);
    return found == sockets_.end() ? nullptr : found->second;
  }
  bool Add(int fd, ino_t inode) {
    std::lock_guard<std::mutex> lock(mutex_);
    return sockets_.emplace(inode, std::make_shared<TlsSocket>(fd, inode)).second;
  }
  void Remove(ino_t inode) {
    std::lock_guard<std::mutex> lock(mutex_);
    sockets_.erase(inode);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<ino_t, std::shared_ptr<TlsSocket>> sockets_;
};

extern SocketTable& sockets;

}  // namespace fastify_ktls_double

#endif  // FASTIFY_KTLS_TEST_TLS_SOCKET_H_
