// What we ask of the kernel for one TCP socket (Documentation/networking/tls.rst).
//
// Functions return 0 or a count when they succeed and a negative errno when
// they fail.
#ifndef FASTIFY_KTLS_KERNEL_KERNEL_TLS_H_
#define FASTIFY_KTLS_KERNEL_KERNEL_TLS_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "openssl/keys.h"

namespace fastify_ktls {

// The value of setsockopt(SOL_TLS, TLS_TX): struct tls12_crypto_info_*, whose
// members are header (version, cipher), iv, key, salt, rec_seq, in this order.
class CryptoInfo {
 public:
  // Without a key, to be filled by getsockopt(SOL_TLS, TLS_TX).
  CryptoInfo(int version, const CipherSpec& cipher);
  CryptoInfo(int version, const CipherSpec& cipher, const TrafficKey& key);

  uint64_t sequence() const;

  void* data() { return bytes_.data(); }
  const void* data() const { return bytes_.data(); }
  socklen_t size() const { return static_cast<socklen_t>(bytes_.size()); }

 private:
  static constexpr size_t kHeaderSize = 4;
  SecretBytes<56> bytes_;
};

// Loads the ULP "tls" onto an established connection. ENOENT: no module.
int AttachUlp(int fd);

// Gives the kernel the write key; from here on it seals all that is sent. Again
// for each further key, on kernels that can rekey (EBUSY: this one cannot).
int EnableTransmit(int fd, const CryptoInfo& info);

// Sends one record of another content type, whole or not at all.
int SendControlRecord(int fd, uint8_t type, const void* data, size_t length);

// The sequence number of the next record that the kernel will seal.
int64_t NextSequence(int fd, int version, const CipherSpec& cipher);

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_KERNEL_KERNEL_TLS_H_
