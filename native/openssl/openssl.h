// The part of OpenSSL's public interface that we use, looked up in the running
// process: Node exports its own copy. A runtime built on another TLS library
// (Electron, Bun) lacks some of these names, and then we say which and do
// nothing.
#ifndef FASTIFY_KTLS_OPENSSL_OPENSSL_H_
#define FASTIFY_KTLS_OPENSSL_OPENSSL_H_

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

namespace fastify_ktls {

#define FASTIFY_KTLS_OPENSSL_FUNCTIONS(V) \
  V(BIO_ctrl_pending)                     \
  V(BIO_free)                             \
  V(BIO_meth_new)                         \
  V(BIO_meth_set_ctrl)                    \
  V(BIO_meth_set_write)                   \
  V(BIO_new)                              \
  V(BIO_push)                             \
  V(BIO_set_init)                         \
  V(BIO_up_ref)                           \
  V(CRYPTO_get_ex_new_index)              \
  V(ERR_clear_error)                      \
  V(EVP_CIPHER_CTX_ctrl)                  \
  V(EVP_CIPHER_CTX_free)                  \
  V(EVP_CIPHER_CTX_new)                   \
  V(EVP_CIPHER_fetch)                     \
  V(EVP_EncryptFinal_ex)                  \
  V(EVP_EncryptInit_ex)                   \
  V(EVP_EncryptUpdate)                    \
  V(EVP_KDF_CTX_free)                     \
  V(EVP_KDF_CTX_new)                      \
  V(EVP_KDF_derive)                       \
  V(EVP_KDF_fetch)                        \
  V(EVP_KDF_free)                         \
  V(EVP_MD_get0_name)                     \
  V(OPENSSL_cleanse)                      \
  V(OSSL_PARAM_construct_end)             \
  V(OSSL_PARAM_construct_octet_string)    \
  V(OSSL_PARAM_construct_utf8_string)     \
  V(RAND_bytes)                           \
  V(SSL_CIPHER_get_cipher_nid)            \
  V(SSL_CIPHER_get_handshake_digest)      \
  V(SSL_CTX_get_ex_data)                  \
  V(SSL_CTX_get_keylog_callback)          \
  V(SSL_CTX_set_ex_data)                  \
  V(SSL_CTX_set_keylog_callback)          \
  V(SSL_SESSION_get_master_key)           \
  V(SSL_SESSION_get_max_fragment_length)  \
  V(SSL_get_SSL_CTX)                      \
  V(SSL_get_client_random)                \
  V(SSL_ctrl)                             \
  V(SSL_get_current_cipher)               \
  V(SSL_get_ex_data)                      \
  V(SSL_get_finished)                     \
  V(SSL_get_server_random)                \
  V(SSL_get_session)                      \
  V(SSL_get_wbio)                         \
  V(SSL_is_init_finished)                 \
  V(SSL_renegotiate_pending)              \
  V(SSL_is_server)                        \
  V(SSL_set0_wbio)                        \
  V(SSL_set_ex_data)                      \
  V(SSL_set_msg_callback)                 \
  V(SSL_set_options)                      \
  V(SSL_shutdown)                         \
  V(SSL_version)

struct OpenSsl {
// The name of a member: nothing to put in parentheses. NOLINTNEXTLINE(bugprone-macro-parentheses)
#define V(name) decltype(&::name) name;
  FASTIFY_KTLS_OPENSSL_FUNCTIONS(V)
#undef V
};

// Valid once LoadOpenSsl() has returned nullptr.
extern OpenSsl openssl;

// Resolves every function; returns the name of the first one that the runtime
// does not have, or nullptr.
const char* LoadOpenSsl();

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_OPENSSL_OPENSSL_H_
