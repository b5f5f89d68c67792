#include "openssl/discarding_bio.h"

namespace fastify_ktls {

namespace {

int Write(BIO*, const char*, int length) { return length; }

// SSL_set0_wbio and BIO_push ask for PUSH and POP, the handshake code for
// FLUSH, TLSWrap for PENDING; nothing else is expected on a write BIO.
long Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* NewMethod() {
  BIO_METHOD* method = openssl.BIO_meth_new(BIO_TYPE_SOURCE_SINK, "fastify-ktls discard");
  if (method == nullptr) return nullptr;
  openssl.BIO_meth_set_write(method, Write);
  openssl.BIO_meth_set_ctrl(method, Control);
  return method;
}

}  // namespace

BIO* NewDiscardingBio() {
  static BIO_METHOD* const method = NewMethod();
  if (method == nullptr) return nullptr;
  BIO* bio = openssl.BIO_new(method);
  if (bio != nullptr) openssl.BIO_set_init(bio, 1);
  return bio;
}

void DiscardWrites(SSL* ssl, BIO* bio) {
  BIO* old = openssl.SSL_get_wbio(ssl);
  // SSL_set0_wbio drops the reference that the SSL holds on the old BIO; the
  // chain below the new one needs a reference of its own.
  openssl.BIO_up_ref(old);
  openssl.BIO_push(bio, old);
  openssl.SSL_set0_wbio(ssl, bio);
}

}  // namespace fastify_ktls
