#include "record_sealer.h"

#include <linux/tls.h>
#include <openssl/crypto.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace fastify_ktls_double {

struct Layout {
  uint16_t cipher_type;
  const EVP_CIPHER* (*cipher)();
  size_t size;
  size_t iv, iv_size;
  size_t key;
  size_t salt, salt_size;
  size_t sequence;
};

namespace {

constexpr size_t kNonceSize = 12;
constexpr size_t kSequenceSize = 8;
constexpr size_t kHeaderSize = 5;
constexpr size_t kTagSize = 16;

template <typename Info>
constexpr Layout LayoutOf(uint16_t cipher_type, const EVP_CIPHER* (*cipher)()) {
  static_assert(sizeof(Info::iv) + sizeof(Info::salt) == kNonceSize);
  static_assert(sizeof(Info::rec_seq) == kSequenceSize);
  return {cipher_type,
          cipher,
          sizeof(Info),
          offsetof(Info, iv),
          sizeof(Info::iv),
          offsetof(Info, key),
          offsetof(Info, salt),
          sizeof(Info::salt),
          offsetof(Info, rec_seq)};
}

const Layout kLayouts[] = {
    LayoutOf<tls12_crypto_info_aes_gcm_128>(TLS_CIPHER_AES_GCM_128, EVP_aes_128_gcm),
    LayoutOf<tls12_crypto_info_aes_gcm_256>(TLS_CIPHER_AES_GCM_256, EVP_aes_256_gcm),
    LayoutOf<tls12_crypto_info_chacha20_poly1305>(TLS_CIPHER_CHACHA20_POLY1305,
                                                  EVP_chacha20_poly1305),
};

void Check(bool condition) {
  if (!condition) abort();
}

void Increment(uint8_t* number, size_t size) {
  while (size > 0 && ++number[--size] == 0) continue;
}

}  // namespace

std::unique_ptr<RecordSealer> RecordSealer::Create(const void* info, socklen_t length) {
  errno = EINVAL;
  tls_crypto_info header;
  if (length < sizeof(header)) return nullptr;
  memcpy(&header, info, sizeof(header));
  if (header.version != TLS_1_2_VERSION && header.version != TLS_1_3_VERSION) return nullptr;
  for (const Layout& layout : kLayouts)
    if (layout.cipher_type == header.cipher_type && layout.size == length)
      return std::unique_ptr<RecordSealer>(new RecordSealer(layout, info));
  return nullptr;
}

RecordSealer::RecordSealer(const Layout& layout, const void* info)
    : layout_(layout), context_(EVP_CIPHER_CTX_new()) {
  memcpy(info_, info, layout.size);
  memcpy(&version_, info_, sizeof(version_));
  Check(context_ != nullptr &&
        EVP_EncryptInit_ex(context_, layout.cipher(), nullptr, info_ + layout.key, nullptr) == 1);
}

RecordSealer::~RecordSealer() {
  EVP_CIPHER_CTX_free(context_);
  OPENSSL_cleanse(info_, sizeof(info_));
}

int RecordSealer::Export(void* info, socklen_t* length) const {
  if (*length != sizeof(tls_crypto_info) && *length != layout_.size) {
    errno = EINVAL;
    return -1;
  }
  memcpy(info, info_, *length);
  return 0;
}

bool RecordSealer::has_explicit_nonce() const {
  return version_ == TLS_1_2_VERSION && layout_.salt_size > 0;
}

// RFC 5288 3 for TLS 1.2 with GCM; RFC 7905 2 and RFC 8446 5.3 for the others.
void RecordSealer::MakeNonce(uint8_t* nonce) const {
  memcpy(nonce, info_ + layout_.salt, layout_.salt_size);
  memcpy(nonce + layout_.salt_size, info_ + layout_.iv, layout_.iv_size);
  if (has_explicit_nonce()) return;
  uint8_t* end = nonce + kNonceSize - kSequenceSize;
  for (size_t i = 0; i < kSequenceSize; i++) end[i] ^= info_[layout_.sequence + i];
}

void RecordSealer::Seal(uint8_t type, const std::vector<uint8_t>& plaintext,
                        std::vector<uint8_t>* out) {
  const bool tls13 = version_ == TLS_1_3_VERSION;
  const size_t explicit_size = has_explicit_nonce() ? layout_.iv_size : 0;
  const size_t inner_size = plaintext.size() + (tls13 ? 1 : 0);
  const size_t body_size = explicit_size + inner_size + kTagSize;

  out->reserve(out->size() + kHeaderSize + body_size);
  const uint8_t header[kHeaderSize] = {tls13 ? kDataRecord : type, 3, 3,
                                       static_cast<uint8_t>(body_size >> 8),
                                       static_cast<uint8_t>(body_size)};
  out->insert(out->end(), header, header + kHeaderSize);
  out->insert(out->end(), info_ + layout_.iv, info_ + layout_.iv + explicit_size);

  // Additional data: the header in TLS 1.3 (RFC 8446 5.2), the sequence and the
  // header of the plaintext in TLS 1.2 (RFC 5246 6.2.3.3).
  std::vector<uint8_t> additional(header, header + kHeaderSize);
  if (!tls13) {
    additional[3] = static_cast<uint8_t>(plaintext.size() >> 8);
    additional[4] = static_cast<uint8_t>(plaintext.size());
    const uint8_t* sequence = info_ + layout_.sequence;
    additional.insert(additional.begin(), sequence, sequence + kSequenceSize);
  }

  uint8_t nonce[kNonceSize];
  MakeNonce(nonce);
  const size_t start = out->size();
  out->resize(start + inner_size + kTagSize);
  uint8_t* sealed = out->data() + start;
  int size = 0;
  Check(EVP_EncryptInit_ex(context_, nullptr, nullptr, nullptr, nonce) == 1);
  Check(EVP_EncryptUpdate(context_, nullptr, &size, additional.data(),
                          static_cast<int>(additional.size())) == 1);
  Check(EVP_EncryptUpdate(context_, sealed, &size, plaintext.data(),
                          static_cast<int>(plaintext.size())) == 1);
  sealed += size;
  if (tls13) {
    Check(EVP_EncryptUpdate(context_, sealed, &size, &type, 1) == 1);
    sealed += size;
  }
  Check(EVP_EncryptFinal_ex(context_, sealed, &size) == 1 && size == 0);
  Check(EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_GET_TAG, kTagSize, sealed) == 1);

  Increment(info_ + layout_.sequence, kSequenceSize);
  if (explicit_size > 0) Increment(info_ + layout_.iv, layout_.iv_size);
}

}  // namespace fastify_ktls_double
