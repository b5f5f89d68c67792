#include "openssl/keys.h"

#include <openssl/obj_mac.h>

#include <cstring>
#include <memory>

namespace fastify_ktls {

const CipherSpec kCiphers[kCipherCount] = {
    {51, "AES-128-GCM", 16, 4, 8},         // TLS_CIPHER_AES_GCM_128
    {52, "AES-256-GCM", 32, 4, 8},         // TLS_CIPHER_AES_GCM_256
    {54, "ChaCha20-Poly1305", 32, 0, 12},  // TLS_CIPHER_CHACHA20_POLY1305
};

namespace {

constexpr char kTls13Prefix[] = "tls13 ";

struct KdfDeleter {
  void operator()(EVP_KDF* kdf) const { openssl.EVP_KDF_free(kdf); }
  void operator()(EVP_KDF_CTX* context) const { openssl.EVP_KDF_CTX_free(context); }
};

bool TryToDerive(const char* algorithm, const OSSL_PARAM* parameters, uint8_t* out, size_t length) {
  std::unique_ptr<EVP_KDF, KdfDeleter> kdf(openssl.EVP_KDF_fetch(nullptr, algorithm, nullptr));
  if (!kdf) return false;
  std::unique_ptr<EVP_KDF_CTX, KdfDeleter> context(openssl.EVP_KDF_CTX_new(kdf.get()));
  return context && openssl.EVP_KDF_derive(context.get(), out, length, parameters) == 1;
}

// Node would take what is left of a failure for an error of its next read.
bool Derive(const char* algorithm, const OSSL_PARAM* parameters, uint8_t* out, size_t length) {
  const bool derived = TryToDerive(algorithm, parameters, out, length);
  if (!derived) openssl.ERR_clear_error();
  return derived;
}

OSSL_PARAM Octets(const char* key, const void* data, size_t length) {
  return openssl.OSSL_PARAM_construct_octet_string(key, const_cast<void*>(data), length);
}

OSSL_PARAM Text(const char* key, const char* value) {
  return openssl.OSSL_PARAM_construct_utf8_string(key, const_cast<char*>(value), 0);
}

// Empty, which no derivation takes, when OpenSSL knows none.
std::string HandshakeDigest(const SSL* ssl) {
  const EVP_MD* digest =
      openssl.SSL_CIPHER_get_handshake_digest(openssl.SSL_get_current_cipher(ssl));
  return digest == nullptr ? "" : openssl.EVP_MD_get0_name(digest);
}

// HKDF-Expand-Label with an empty context (RFC 8446 7.1).
bool ExpandLabel(const std::string& digest, const TrafficSecret& secret, const char* label,
                 uint8_t* out, size_t length) {
  const OSSL_PARAM parameters[] = {
      Text(OSSL_KDF_PARAM_MODE, "EXPAND_ONLY"),
      Text(OSSL_KDF_PARAM_DIGEST, digest.c_str()),
      Octets(OSSL_KDF_PARAM_KEY, secret.data(), secret.size()),
      Octets(OSSL_KDF_PARAM_PREFIX, kTls13Prefix, sizeof(kTls13Prefix) - 1),
      Octets(OSSL_KDF_PARAM_LABEL, label, strlen(label)),
      openssl.OSSL_PARAM_construct_end(),
  };
  return Derive("TLS13-KDF", parameters, out, length);
}

// The nonce of TLS 1.2 with GCM has an explicit half which must never repeat
// under a key (RFC 5288 3). OpenSSL counts up from a random start and does not
// tell it, so the backend starts from another random one. With n records sealed
// here and m there the two ranges meet with probability (n + m) / 2^64, which
// is below the 2^-32 of NIST SP 800-38D 8 while n + m < 2^32.
bool RandomExplicitNonce(const CipherSpec& cipher, uint8_t* nonce) {
  if (openssl.RAND_bytes(nonce + cipher.salt_size, static_cast<int>(cipher.iv_size)) == 1)
    return true;
  openssl.ERR_clear_error();  // as in Derive()
  return false;
}

}  // namespace

const CipherSpec* FindCipher(const SSL* ssl) {
  const SSL_CIPHER* cipher = openssl.SSL_get_current_cipher(ssl);
  if (cipher == nullptr) return nullptr;
  switch (openssl.SSL_CIPHER_get_cipher_nid(cipher)) {
    case NID_aes_128_gcm:
      return &kCiphers[kAes128Gcm];
    case NID_aes_256_gcm:
      return &kCiphers[kAes256Gcm];
    case NID_chacha20_poly1305:
      return &kCiphers[kChaCha20Poly1305];
    default:
      return nullptr;
  }
}

size_t RecordOverhead(int version, const CipherSpec& cipher) {
  const size_t inner = version == TLS1_3_VERSION
                           ? 1                                              // content type
                           : (cipher.salt_size == 0 ? 0 : cipher.iv_size);  // explicit nonce
  return kRecordHeaderSize + inner + kTagSize;
}

KeySchedule::KeySchedule(const SSL* ssl, const TrafficSecret& secret, const CipherSpec& cipher)
    : digest_(HandshakeDigest(ssl)), cipher_(cipher) {
  secret_.Assign(secret);
}

bool KeySchedule::Present(uint64_t sequence, TrafficKey* key) const {
  key->key.Resize(cipher_.key_size);
  key->iv.Resize(kNonceSize);
  key->sequence = sequence;
  return ExpandLabel(digest_, secret_, "key", key->key.data(), cipher_.key_size) &&
         ExpandLabel(digest_, secret_, "iv", key->iv.data(), kNonceSize);
}

bool KeySchedule::Next(TrafficKey* key) {
  TrafficSecret next;
  if (!ExpandLabel(digest_, secret_, "traffic upd", next.data(), secret_.size())) return false;
  next.Resize(secret_.size());
  secret_.Assign(next);
  return Present(0, key);
}

bool DeriveTls12(const SSL* ssl, const CipherSpec& cipher, uint64_t sequence, TrafficKey* key) {
  const std::string digest = HandshakeDigest(ssl);
  SecretBytes<SSL_MAX_MASTER_KEY_LENGTH> master;
  const size_t master_size = openssl.SSL_SESSION_get_master_key(openssl.SSL_get_session(ssl),
                                                                master.data(), master.capacity());

  // seed: label, server random, client random
  constexpr char kLabel[] = "key expansion";
  constexpr size_t kLabelSize = sizeof(kLabel) - 1;
  uint8_t seed[kLabelSize + 2 * SSL3_RANDOM_SIZE];
  memcpy(seed, kLabel, kLabelSize);
  openssl.SSL_get_server_random(ssl, seed + kLabelSize, SSL3_RANDOM_SIZE);
  openssl.SSL_get_client_random(ssl, seed + kLabelSize + SSL3_RANDOM_SIZE, SSL3_RANDOM_SIZE);

  const OSSL_PARAM parameters[] = {
      Text(OSSL_KDF_PARAM_DIGEST, digest.c_str()),
      Octets(OSSL_KDF_PARAM_SECRET, master.data(), master_size),
      Octets(OSSL_KDF_PARAM_SEED, seed, sizeof(seed)),
      openssl.OSSL_PARAM_construct_end(),
  };
  // An AEAD has no MAC keys: client key, server key, client iv, server iv.
  const size_t iv_size = cipher.salt_size == 0 ? cipher.iv_size : cipher.salt_size;
  SecretBytes<2 * 32 + 2 * kNonceSize> block;
  if (!Derive("TLS1-PRF", parameters, block.data(), 2 * cipher.key_size + 2 * iv_size))
    return false;

  key->key.Resize(cipher.key_size);
  key->iv.Resize(kNonceSize);
  key->sequence = sequence;
  memcpy(key->key.data(), block.data() + cipher.key_size, cipher.key_size);
  memcpy(key->iv.data(), block.data() + 2 * cipher.key_size + iv_size, iv_size);
  return cipher.salt_size == 0 || RandomExplicitNonce(cipher, key->iv.data());
}

}  // namespace fastify_ktls
