#include "connection/session.h"

#include <algorithm>
#include <cstring>
#include <mutex>

namespace fastify_ktls {

namespace {

int ssl_index = -1;      // Session of an SSL
int context_index = -1;  // keylog callback that an SSL_CTX had before ours

// SSLs made on this thread that nobody has claimed. A process that makes many
// outgoing connections and accepts few would pile them up, so the oldest go.
constexpr size_t kMaxUnclaimed = 64;
thread_local bool capturing = false;
thread_local std::vector<SSL*> unclaimed;

using Holder = std::shared_ptr<Session>;

void OnSslCreated(void* parent, void*, CRYPTO_EX_DATA*, int, long, void*) {
  // The object is not finished yet (OpenSSL 3.5): only note the pointer.
  if (!capturing) return;
  if (unclaimed.size() == kMaxUnclaimed) unclaimed.erase(unclaimed.begin());
  unclaimed.push_back(static_cast<SSL*>(parent));
}

void OnSslFreed(void* parent, void* data, CRYPTO_EX_DATA*, int, long, void*) {
  if (auto* holder = static_cast<Holder*>(data)) {
    Session& session = **holder;
    session.ssl = nullptr;
    session.secret.Clear();
    session.queue.reset();
    delete holder;
    return;
  }
  const auto found = std::find(unclaimed.begin(), unclaimed.end(), static_cast<SSL*>(parent));
  if (found != unclaimed.end()) unclaimed.erase(found);
}

int HexDigit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

// "SERVER_TRAFFIC_SECRET_0 <client random> <secret>" comes exactly when the
// write key changes to the application key, so counting starts here.
void ReadSecret(const char* line, Session* session) {
  static constexpr char kLabel[] = "SERVER_TRAFFIC_SECRET_0 ";
  if (strncmp(line, kLabel, sizeof(kLabel) - 1) != 0) return;
  const char* hex = strrchr(line, ' ') + 1;
  const size_t size = strlen(hex) / 2;
  if (size > TrafficSecret::capacity()) return;
  for (size_t i = 0; i < size; i++) {
    const int high = HexDigit(hex[2 * i]);
    const int low = HexDigit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return session->secret.Clear();
    session->secret.data()[i] = static_cast<uint8_t>(high << 4 | low);
  }
  session->secret.Resize(size);
  session->sequence = 0;
}

void OnKeylog(const SSL* ssl, const char* line) {
  // Two copies of this addon in one process could chain to each other.
  static thread_local bool inside = false;
  if (inside) return;
  inside = true;
  if (auto* holder = static_cast<Holder*>(openssl.SSL_get_ex_data(ssl, ssl_index)))
    ReadSecret(line, holder->get());
  void* previous = openssl.SSL_CTX_get_ex_data(openssl.SSL_get_SSL_CTX(ssl), context_index);
  if (previous != nullptr) reinterpret_cast<SSL_CTX_keylog_cb_func>(previous)(ssl, line);
  inside = false;
}

// The callback belongs to the context, which changes in mid-handshake when a
// client asks for a name and has to send two hellos, and Node sets its own when
// somebody listens for 'keylog'. Chain to it.
void EnsureKeylog(const SSL* ssl) {
  SSL_CTX* context = openssl.SSL_get_SSL_CTX(ssl);
  const SSL_CTX_keylog_cb_func present = openssl.SSL_CTX_get_keylog_callback(context);
  if (present == OnKeylog) return;
  openssl.SSL_CTX_set_ex_data(context, context_index, reinterpret_cast<void*>(present));
  openssl.SSL_CTX_set_keylog_callback(context, OnKeylog);
}

void OnRecordHeader(const uint8_t* header, Session* session) {
  session->bytes += kRecordHeaderSize + (header[3] << 8 | header[4]);
  session->sequence++;
  // TLS 1.2: the key changes after this record (RFC 5246 7.1). In TLS 1.3 it
  // means nothing and comes before the key (RFC 8446 D.4).
  if (header[0] == SSL3_RT_CHANGE_CIPHER_SPEC) session->sequence = 0;
}

// OpenSSL would answer a request for a new key with its next write only, which
// after the promotion never comes.
void OnKeyUpdate(int written, const uint8_t* message, size_t length, Session* session) {
  if (written) {
    session->key_updated = true;
  } else if (message[length - 1] == SSL_KEY_UPDATE_REQUESTED) {
    session->key_update_owed = true;
    if (session->queue) session->queue->UpdateKey();
  }
}

// Something writes to TLSWrap below the socket's Writable: TLS in TLS, HTTP/2. Of TLS
// 1.3 the record's header says 23 whatever is in it.
bool IsBypassed(int type, const uint8_t* bytes, const SSL* ssl) {
  const bool tells = type == SSL3_RT_INNER_CONTENT_TYPE ||
                     (type == SSL3_RT_HEADER && openssl.SSL_version(ssl) != TLS1_3_VERSION);
  return tells && bytes[0] == SSL3_RT_APPLICATION_DATA;
}

void OnMessage(int written, int, int type, const void* data, size_t length, SSL* ssl, void* arg) {
  auto* session = static_cast<Session*>(arg);
  const auto* bytes = static_cast<const uint8_t*>(data);
  if (type == SSL3_RT_HANDSHAKE) {
    EnsureKeylog(ssl);
    if (length > 0 && bytes[0] == SSL3_MT_KEY_UPDATE && openssl.SSL_version(ssl) == TLS1_3_VERSION)
      OnKeyUpdate(written, bytes, length, session);
  } else if (written && type == SSL3_RT_HEADER && length == kRecordHeaderSize) {
    OnRecordHeader(bytes, session);
  } else if (written && type == SSL3_RT_ALERT && session->queue) {
    // What OpenSSL sealed went into the discarding BIO; this is its meaning.
    session->queue->SendAlert(bytes, length);
  }
  if (written && session->queue && length > 0 && IsBypassed(type, bytes, ssl))
    session->queue->Bypass();
}

Holder Follow(SSL* ssl) {
  auto session = std::make_shared<Session>();
  session->ssl = ssl;
  auto* holder = new Holder(session);
  if (openssl.SSL_set_ex_data(ssl, ssl_index, holder) != 1) {
    delete holder;
    return nullptr;
  }
  openssl.SSL_set_msg_callback(ssl, OnMessage);
  openssl.SSL_ctrl(ssl, SSL_CTRL_SET_MSG_CALLBACK_ARG, 0, session.get());
  EnsureKeylog(ssl);
  return session;
}

}  // namespace

bool StartCapture() {
  static std::once_flag once;
  std::call_once(once, [] {
    ssl_index = openssl.CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, nullptr, OnSslCreated,
                                                nullptr, OnSslFreed);
    context_index = openssl.CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, nullptr, nullptr,
                                                    nullptr, nullptr);
  });
  capturing = ssl_index >= 0 && context_index >= 0;
  return capturing;
}

void StopCapture() {
  capturing = false;
  unclaimed.clear();
}

std::vector<std::shared_ptr<Session>> Claim() {
  std::vector<std::shared_ptr<Session>> sessions;
  std::vector<SSL*> claimed;
  claimed.swap(unclaimed);
  for (SSL* ssl : claimed) {
    if (!openssl.SSL_is_server(ssl)) continue;
    if (Holder session = Follow(ssl)) sessions.push_back(std::move(session));
  }
  return sessions;
}

void Discard() { unclaimed.clear(); }

}  // namespace fastify_ktls
