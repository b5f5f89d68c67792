// The cipher half of the kernel's TLS transmit: crypto_info in, records out.
//
// It reads struct tls12_crypto_info_* by the definitions of linux/tls.h, not by
// those of native/keys.h, so that a mistake there does not cancel out. OpenSSL
// is called plainly: this is only ever loaded into Node, which exports it.
#ifndef FASTIFY_KTLS_TEST_RECORD_SEALER_H_
#define FASTIFY_KTLS_TEST_RECORD_SEALER_H_

#include <openssl/evp.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace fastify_ktls_double {

inline constexpr uint8_t kDataRecord = 23;

struct Layout;

class RecordSealer {
 public:
  // What setsockopt(SOL_TLS, TLS_TX) got; null with errno set when it is wrong.
  static std::unique_ptr<RecordSealer> Create(const void* info, socklen_t length);
  ~RecordSealer();
  RecordSealer(const RecordSealer&) = delete;
  RecordSealer& operator=(const RecordSealer&) = delete;

  // getsockopt(SOL_TLS, TLS_TX): the same with the present iv and sequence.
  int Export(void* info, socklen_t* length) const;

  // Appends one record to `out` and moves on to the next sequence number.
  void Seal(uint8_t type, const std::vector<uint8_t>& plaintext, std::vector<uint8_t>* out);

 private:
  RecordSealer(const Layout& layout, const void* info);
  bool has_explicit_nonce() const;
  void MakeNonce(uint8_t* nonce) const;

  const Layout& layout_;
  uint16_t version_;
  uint8_t info_[64];
  EVP_CIPHER_CTX* const context_;
};

}  // namespace fastify_ktls_double

#endif  // FASTIFY_KTLS_TEST_RECORD_SEALER_H_
