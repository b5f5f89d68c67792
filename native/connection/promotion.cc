#include "connection/promotion.h"

#include <cerrno>

#include "kernel/kernel_tls.h"
#include "openssl/discarding_bio.h"
#include "records/kernel_records.h"
#include "records/no_records.h"
#include "records/sealed_records.h"
#include "records/sealing_gate.h"
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
bool NothingInFlight(const Session& session, int64_t in_tcp) {
  return openssl.BIO_ctrl_pending(openssl.SSL_get_wbio(session.ssl)) == 0 &&
         in_tcp == static_cast<int64_t>(session.bytes);
}

// Bytes of secrets are wiped with what holds them, on every return.
struct Keys {
  TrafficKey present;
  std::unique_ptr<KeySchedule> later;
};

bool Derive(const Session& session, int version, const CipherSpec& cipher, Keys* keys) {
  if (version != TLS1_3_VERSION)
    return DeriveTls12(session.ssl, cipher, session.sequence, &keys->present);
  keys->later = std::make_unique<KeySchedule>(session.ssl, session.secret, cipher);
  return keys->later->Present(session.sequence, &keys->present);
}

// Null, and the call that failed: the kernel has taken no key.
Outcome ChooseKernel(int fd, int version, const CipherSpec& cipher, const TrafficKey& key) {
  if (const int error = AttachUlp(fd); error != 0) return {error, "setsockopt TCP_ULP"};
  const int error = EnableTransmit(fd, CryptoInfo(version, cipher, key));
  return {error, error == 0 ? nullptr : "setsockopt TLS_TX"};
}

}  // namespace

Promotion Promote(Session* session, int fd, Backends backends,
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
  // Ours would be records of 16 KiB for a client that asked for smaller ones (RFC 6066 4).
  if (openssl.SSL_SESSION_get_max_fragment_length(openssl.SSL_get_session(ssl)) != 0)
    return Refuse("max-fragment-length");
  bool kernel = backends.kernel && (backends.rekey || !session->key_update_owed);
  if (session->key_updated || (!kernel && !backends.threads)) return Refuse("key-updated");
  // Two that count on from the same number would use it twice.
  if (session->queue) return Refuse("not-captured");
  if (version == TLS1_3_VERSION && session->secret.size() == 0) return Refuse("not-captured");
  const int64_t in_tcp = BytesInTcp(fd);
  // Emulated kernels know no such figures.
  if (in_tcp == -EOPNOTSUPP) return Refuse("not-ready", -EOPNOTSUPP, "getsockopt TCP_INFO");
  if (!NothingInFlight(*session, in_tcp)) return Refuse("not-ready");

  Keys keys;
  if (!Derive(*session, version, *cipher, &keys)) return Refuse("key-derivation");

  int error = 0;
  Sender* sender = Sender::Choose(&error);
  if (sender == nullptr) return Refuse("no-resources", error, "sender thread");
  std::unique_ptr<BIO, BioDeleter> bio(NewDiscardingBio());
  if (!bio) {
    // Node would take what is left of it for an error of its next read.
    openssl.ERR_clear_error();
    return Refuse("no-resources", -ENOMEM, "BIO_new");
  }
  OpenSealingGate();
  UniqueFd own(sys.duplicate(fd));
  if (!own) return Refuse("no-resources", -errno, "fcntl F_DUPFD_CLOEXEC");

  Promotion promotion;
  bool by_kernel = false;
  // The kernel would send one record for each round trip to the client.
  if (backends.threads && HasSmallBuffer(fd)) kernel = false;
  if (kernel) {
    promotion.cause = ChooseKernel(own.get(), version, *cipher, keys.present);
    by_kernel = promotion.cause.error == 0;
    // Also where the client has ended its side only.
    if (promotion.cause.error == -ENOTCONN) return Refuse("connection-closed");
    if (!by_kernel && !backends.threads)
      return Refuse("kernel-refused", promotion.cause.error, promotion.cause.call);
  }
  // The kernel has no key yet, so this may still fail.
  std::unique_ptr<Sealer> sealer;
  if (!by_kernel) sealer = Sealer::New(version, *cipher, keys.present);
  if (!by_kernel && !sealer) return Refuse("cipher-refused");

  // The records go on where OpenSSL stood: nothing below may fail.
  RecordStart start = {version, cipher, session->sequence, static_cast<int64_t>(session->bytes),
                       std::move(keys.later)};
  if (by_kernel && !backends.rekey) start.keys.reset();
  std::unique_ptr<RecordLayer> records;
  if (by_kernel)
    records = std::make_unique<KernelRecords>(std::move(own), std::move(start));
  else
    records = std::make_unique<SealedRecords>(std::move(own), std::move(start), std::move(sealer));
  auto queue = std::make_shared<TransmitQueue>(std::move(records), *sender, std::move(listener));
  DiscardWrites(ssl, bio.release());
  openssl.SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
  session->secret.Clear();
  session->queue = queue;
  if (session->key_update_owed) queue->UpdateKey();
  promotion.queue = std::move(queue);
  return promotion;
}

Promotion PromotePlain(int fd, std::shared_ptr<TransmitListener> listener) {
  int error = 0;
  Sender* sender = Sender::Choose(&error);
  if (sender == nullptr) return Refuse("no-resources", error, "sender thread");
  UniqueFd own(sys.duplicate(fd));
  if (!own) return Refuse("no-resources", -errno, "fcntl F_DUPFD_CLOEXEC");
  Promotion promotion;
  promotion.queue = std::make_shared<TransmitQueue>(std::make_unique<NoRecords>(std::move(own)),
                                                    *sender, std::move(listener));
  return promotion;
}

}  // namespace fastify_ktls
