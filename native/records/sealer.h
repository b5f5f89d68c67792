// Seals TLS records with the AEADs of TLS 1.2 and 1.3 (RFC 5246 6.2.3.3, RFC 5288 3,
// RFC 7905 2, RFC 8446 5.2), in place. The only place where a record gets its number:
// each number is used up before the cipher sees it, also when the cipher then fails.
#ifndef FASTIFY_KTLS_RECORDS_SEALER_H_
#define FASTIFY_KTLS_RECORDS_SEALER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "openssl/keys.h"

namespace fastify_ktls {

class Sealer {
 public:
  // Null when OpenSSL refuses the cipher, as the FIPS provider does some.
  static std::unique_ptr<Sealer> New(int version, const CipherSpec& cipher, const TrafficKey& key);
  ~Sealer();
  Sealer(const Sealer&) = delete;
  Sealer& operator=(const Sealer&) = delete;

  // Bytes of a record before its plaintext: header, explicit nonce.
  size_t head_size() const { return kRecordHeaderSize + explicit_size_; }
  // And after it: inner content type, tag.
  size_t tail_size() const { return inner_size_ + kTagSize; }

  // Seals the `length` bytes at `record` + head_size(), of a buffer that has room for
  // the tail. Bytes of the whole record; 0 when OpenSSL fails, after which this sealer
  // is of no use.
  size_t Seal(uint8_t* record, uint8_t type, size_t length);

  // Another key, with the numbers that go with it. False when OpenSSL refuses.
  bool SetKey(const TrafficKey& key);

  // The number of the next record under the present key.
  uint64_t sequence() const { return sequence_; }

 private:
  Sealer(int version, const CipherSpec& cipher);
  bool Encrypt(const uint8_t* additional, size_t additional_size, uint8_t* body, size_t length);

  const CipherSpec& cipher_;
  const bool tls13_;
  const size_t explicit_size_;
  const size_t inner_size_;
  EVP_CIPHER_CTX* context_ = nullptr;
  SecretBytes<kNonceSize> iv_;
  uint64_t first_sequence_ = 0;  // whose explicit nonce is the one in iv_
  uint64_t sequence_ = 0;
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_RECORDS_SEALER_H_
