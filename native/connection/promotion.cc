#include "connection/promotion.h"

#include <cerrno>

#include "openssl/discarding_bio.h"
#include "transmit/sender.h"

namespace fastify_ktls {

namespace {

struct BioDeleter {
  void operator()(BIO* bio) const { openssl.BIO_free(bio); }
};

Promotion Refuse(const char* refusal, int error = 0, const char* call = nullptr) {
  Promotion promotion;
  promotion.refusal = refusal;
  promotion.cause = {error, call};
  return promotion;
}

// Nothing is on its way between OpenSSL and TCP: OpenSSL's BIO is empty, and
// TCP has had every byte of every record that was counted. The sum is also the
// proof that no record was missed.
bool NothingInFlight(const Session& session, int fd) {
  return openssl.BIO_ctrl_pending(openssl.SSL_get_wbio(session.ssl)) == 0 &&
         BytesInTcp(fd) == static_cast<int64_t>(session.bytes);
}

}  // namespace

Promotion Promote(Session* session, int fd, bool rekey,
                  std::shared_ptr<TransmitListener> listener) {
  SSL* ssl = session->ssl;
  // After a HelloRequest the handshake counts as finished until the client answers.
  if (!openssl.SSL_is_init_finished(ssl) || openssl.SSL_renegotiate_pending(ssl))
    return Refuse("not-ready");

  const int version = openssl.SSL_version(ssl);
  if (version != TLS1_2_VERSION && version != TLS1_3_VERSION)
    return Refuse("version-not-offloadable");
  const CipherSpec* cipher = FindCipher(ssl);
  if (cipher == nullptr) return Refuse("cipher-not-offloadable");
  // The kernel would send 16 KiB records to a client that asked for smaller
  // ones (RFC 6066 4).
  if (openssl.SSL_SESSION_get_max_fragment_length(openssl.SSL_get_session(ssl)) != 0)
    return Refuse("max-fragment-length");
  if (session->key_updated || (session->key_update_owed && !rekey)) return Refuse("key-updated");
  if (version == TLS1_3_VERSION && session->secret.size() == 0) return Refuse("not-captured");
  if (!NothingInFlight(*session, fd)) return Refuse("not-ready");

  CryptoInfo info(version, *cipher);
  std::unique_ptr<KeySchedule> keys;
  if (version == TLS1_3_VERSION) keys.reset(new KeySchedule(ssl, session->secret, *cipher));
  const bool derived = keys ? keys->Present(session->sequence, &info)
                            : DeriveTls12(ssl, *cipher, session->sequence, &info);
  if (!derived) {
    // Node would take what is left of it for an error of the next read.
    openssl.ERR_clear_error();
    return Refuse("key-derivation");
  }
  if (!rekey) keys.reset();

  int error = 0;
  Sender* sender = Sender::Choose(&error);
  if (sender == nullptr) return Refuse("no-resources", error, "sender thread");
  std::unique_ptr<BIO, BioDeleter> bio(NewDiscardingBio());
  if (!bio) return Refuse("no-resources", -ENOMEM, "BIO_new");
  UniqueFd own(sys.duplicate(fd));
  if (!own) return Refuse("no-resources", -errno, "fcntl F_DUPFD_CLOEXEC");
  error = AttachUlp(own.get());
  // Also where the client has ended its side only.
  if (error == -ENOTCONN) return Refuse("connection-closed");
  if (error != 0) return Refuse("kernel-refused", error, "setsockopt TCP_ULP");

  RecordStream::Start start = {version, cipher, session->sequence,
                               static_cast<int64_t>(session->bytes), std::move(keys)};
  const int socket = own.get();
  auto queue = std::make_shared<TransmitQueue>(std::move(own), std::move(start), *sender,
                                               std::move(listener));
  if (error = EnableTransmit(socket, info); error != 0)
    return Refuse("kernel-refused", error, "setsockopt TLS_TX");

  // The kernel seals from here on: nothing below may fail.
  DiscardWrites(ssl, bio.release());
  openssl.SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
  session->secret.Clear();
  session->queue = queue;
  if (session->key_update_owed) queue->UpdateKey();

  Promotion promotion;
  promotion.queue = std::move(queue);
  return promotion;
}

}  // namespace fastify_ktls
