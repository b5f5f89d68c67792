#include "records/sealer.h"

#include <cstring>

#include "records/record_layer.h"
#include "records/sealing_gate.h"

namespace fastify_ktls {

namespace {

constexpr size_t kExplicitNonceSize = 8;

// Fetching takes locks of OpenSSL's: once for each cipher.
EVP_CIPHER* Fetch(const CipherSpec& cipher) {
  static EVP_CIPHER* const fetched[kCipherCount] = {
      openssl.EVP_CIPHER_fetch(nullptr, kCiphers[kAes128Gcm].name, nullptr),
      openssl.EVP_CIPHER_fetch(nullptr, kCiphers[kAes256Gcm].name, nullptr),
      openssl.EVP_CIPHER_fetch(nullptr, kCiphers[kChaCha20Poly1305].name, nullptr),
  };
  return fetched[&cipher - kCiphers];
}

void WriteNumber(uint64_t number, uint8_t* bytes) {
  for (size_t i = 8; i-- > 0; number >>= 8) bytes[i] = static_cast<uint8_t>(number);
}

uint64_t ReadNumber(const uint8_t* bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < 8; i++) number = number << 8 | bytes[i];
  return number;
}

size_t ExplicitNonceSize(int version, const CipherSpec& cipher) {
  return version == TLS1_2_VERSION && cipher.salt_size > 0 ? kExplicitNonceSize : 0;
}

}  // namespace

Sealer::Sealer(int version, const CipherSpec& cipher)
    : cipher_(cipher),
      tls13_(version == TLS1_3_VERSION),
      explicit_size_(ExplicitNonceSize(version, cipher)),
      inner_size_(tls13_ ? 1 : 0) {}

std::unique_ptr<Sealer> Sealer::New(int version, const CipherSpec& cipher, const TrafficKey& key) {
  std::unique_ptr<Sealer> sealer(new Sealer(version, cipher));
  sealer->context_ = openssl.EVP_CIPHER_CTX_new();
  const bool taken = sealer->SetKey(key);
  // Also of the ciphers that this one does not need: Node would take what is left of it
  // for an error of its next read.
  openssl.ERR_clear_error();
  return taken ? std::move(sealer) : nullptr;
}

Sealer::~Sealer() {
  // Without the pass OpenSSL may be gone, and the process soon is.
  const SealingPass pass;
  if (pass) openssl.EVP_CIPHER_CTX_free(context_);
}

bool Sealer::SetKey(const TrafficKey& key) {
  EVP_CIPHER* cipher = Fetch(cipher_);
  if (cipher == nullptr || context_ == nullptr) return false;
  iv_.Assign(key.iv);
  first_sequence_ = sequence_ = key.sequence;
  const bool taken =
      openssl.EVP_EncryptInit_ex(context_, cipher, nullptr, key.key.data(), nullptr) == 1;
  if (!taken) openssl.ERR_clear_error();
  return taken;
}

size_t Sealer::Seal(uint8_t* record, uint8_t type, size_t length) {
  const uint64_t sequence = sequence_++;
  const size_t sealed = explicit_size_ + length + inner_size_ + kTagSize;
  uint8_t* body = record + head_size();
  record[0] = tls13_ ? kDataRecord : type;
  record[1] = record[2] = 3;
  record[3] = static_cast<uint8_t>(sealed >> 8);
  record[4] = static_cast<uint8_t>(sealed);
  if (tls13_) body[length] = type;

  uint8_t nonce[kNonceSize];
  memcpy(nonce, iv_.data(), kNonceSize);
  uint8_t* changing = nonce + kNonceSize - kExplicitNonceSize;
  if (explicit_size_ > 0) {
    WriteNumber(ReadNumber(changing) + (sequence - first_sequence_), changing);
    memcpy(record + kRecordHeaderSize, changing, explicit_size_);
  } else {
    WriteNumber(ReadNumber(changing) ^ sequence, changing);
  }

  // What is authenticated besides: the header in TLS 1.3 (RFC 8446 5.2), the number and
  // the plaintext's header in TLS 1.2 (RFC 5246 6.2.3.3).
  uint8_t additional[kRecordSequenceSize + kRecordHeaderSize];
  size_t additional_size = kRecordHeaderSize;
  if (tls13_) {
    memcpy(additional, record, kRecordHeaderSize);
  } else {
    additional_size = sizeof(additional);
    WriteNumber(sequence, additional);
    memcpy(additional + kRecordSequenceSize, record, 3);
    additional[kRecordSequenceSize + 3] = static_cast<uint8_t>(length >> 8);
    additional[kRecordSequenceSize + 4] = static_cast<uint8_t>(length);
  }
  const bool done = openssl.EVP_EncryptInit_ex(context_, nullptr, nullptr, nullptr, nonce) == 1 &&
                    Encrypt(additional, additional_size, body, length + inner_size_);
  openssl.OPENSSL_cleanse(nonce, sizeof(nonce));
  if (!done) openssl.ERR_clear_error();
  return done ? kRecordHeaderSize + sealed : 0;
}

bool Sealer::Encrypt(const uint8_t* additional, size_t additional_size, uint8_t* body,
                     size_t length) {
  int size = 0;
  if (openssl.EVP_EncryptUpdate(context_, nullptr, &size, additional,
                                static_cast<int>(additional_size)) != 1)
    return false;
  if (length > 0 &&
      (openssl.EVP_EncryptUpdate(context_, body, &size, body, static_cast<int>(length)) != 1 ||
       size != static_cast<int>(length)))
    return false;
  if (openssl.EVP_EncryptFinal_ex(context_, body + length, &size) != 1 || size != 0) return false;
  return openssl.EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_GET_TAG, kTagSize, body + length) == 1;
}

}  // namespace fastify_ktls
