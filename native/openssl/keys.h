// From what a handshake agreed to a write key, in types that wipe themselves.
#ifndef FASTIFY_KTLS_OPENSSL_KEYS_H_
#define FASTIFY_KTLS_OPENSSL_KEYS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "openssl/openssl.h"

namespace fastify_ktls {

// Bytes that are wiped when they go out of scope or are cleared.
template <size_t N>
class SecretBytes {
 public:
  SecretBytes() = default;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { Clear(); }

  uint8_t* data() { return bytes_; }
  const uint8_t* data() const { return bytes_; }
  size_t size() const { return size_; }
  void Resize(size_t size) { size_ = size; }
  void Assign(const SecretBytes& other) {
    memcpy(bytes_, other.bytes_, N);
    size_ = other.size_;
  }
  void Clear() {
    openssl.OPENSSL_cleanse(bytes_, N);
    size_ = 0;
  }
  static constexpr size_t capacity() { return N; }

 private:
  uint8_t bytes_[N] = {};
  size_t size_ = 0;
};

// A TLS 1.3 traffic secret is as long as the handshake digest: 32 or 48 bytes.
using TrafficSecret = SecretBytes<48>;

// One AEAD as the kernel (include/uapi/linux/tls.h) and OpenSSL see it.
struct CipherSpec {
  uint16_t kernel_id;
  const char* name;
  size_t key_size;
  size_t salt_size;  // first bytes of the 12-byte nonce
  size_t iv_size;    // its other bytes; for TLS 1.2 with GCM the explicit part
};

inline constexpr size_t kNonceSize = 12;
inline constexpr size_t kTagSize = 16;
inline constexpr size_t kRecordSequenceSize = 8;
inline constexpr size_t kRecordHeaderSize = 5;

// The cipher specs, in the order in which Probe() reports them.
enum CipherIndex { kAes128Gcm, kAes256Gcm, kChaCha20Poly1305, kCipherCount };
extern const CipherSpec kCiphers[kCipherCount];

// The spec for the cipher that a connection negotiated; nullptr when the
// kernel has no counterpart.
const CipherSpec* FindCipher(const SSL* ssl);

// Bytes that sealing adds to a plaintext: record header, explicit nonce, inner
// content type, tag (RFC 5288 3, RFC 7905 2, RFC 8446 5.2).
size_t RecordOverhead(int version, const CipherSpec& cipher);

// What the next record is sealed with. `iv` is the 12-byte static iv; of TLS 1.2 with
// GCM the salt and the first explicit nonce.
struct TrafficKey {
  SecretBytes<32> key;
  SecretBytes<kNonceSize> iv;
  uint64_t sequence = 0;
};

// The server's write keys of a TLS 1.3 connection, one after the other, from
// its application traffic secret. False when OpenSSL refuses.
class KeySchedule {
 public:
  KeySchedule(const SSL* ssl, const TrafficSecret& secret, const CipherSpec& cipher);

  // The present key (RFC 8446 7.3).
  bool Present(uint64_t sequence, TrafficKey* key) const;
  // Moves on to the next secret (RFC 8446 7.2); its key starts at sequence 0.
  bool Next(TrafficKey* key);

 private:
  const std::string digest_;
  const CipherSpec& cipher_;
  TrafficSecret secret_;
};

// Derives the server's write key of a TLS 1.2 connection from its master
// secret (RFC 5246 6.3). False when OpenSSL refuses.
bool DeriveTls12(const SSL* ssl, const CipherSpec& cipher, uint64_t sequence, TrafficKey* key);

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_OPENSSL_KEYS_H_
