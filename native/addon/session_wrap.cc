#include "addon/session_wrap.h"

#include <cstring>
#include <utility>

#include "addon/transmitter_wrap.h"

namespace fastify_ktls {

namespace {

using SessionHandle = std::shared_ptr<Session>;

class SessionWrap : public Napi::ObjectWrap<SessionWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Session",
                       {InstanceMethod<&SessionWrap::Matches>("matches"),
                        InstanceMethod<&SessionWrap::Promote>("promote"),
                        InstanceMethod<&SessionWrap::CloseNotify>("closeNotify"),
                        InstanceMethod<&SessionWrap::Forget>("forget")});
  }

  explicit SessionWrap(const Napi::CallbackInfo& info)
      : ObjectWrap(info),
        session_(std::move(*info[0].As<Napi::External<SessionHandle>>().Data())) {}

 private:
  // matches(finished): is this the SSL that sent this Finished message?
  Napi::Value Matches(const Napi::CallbackInfo& info) {
    const auto expected = info[0].As<Napi::Uint8Array>();
    uint8_t finished[EVP_MAX_MD_SIZE];
    const size_t size = session_->ssl == nullptr
                            ? 0
                            : openssl.SSL_get_finished(session_->ssl, finished, sizeof(finished));
    return Napi::Boolean::New(info.Env(), size > 0 && size == expected.ByteLength() &&
                                              memcmp(finished, expected.Data(), size) == 0);
  }

  // promote(fd, { kernel, rekey, threads }, onEvent)
  Napi::Value Promote(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const auto events = TransmitEvents::New(GetEnvironment(env), info[2].As<Napi::Function>());
    const auto allowed = info[1].As<Napi::Object>();
    const auto is = [&](const char* name) { return allowed.Get(name).As<Napi::Boolean>().Value(); };
    Promotion promotion;
    promotion.refusal = "not-captured";
    if (session_->ssl != nullptr)
      promotion = fastify_ktls::Promote(session_.get(), info[0].As<Napi::Number>().Int32Value(),
                                        {is("kernel"), is("rekey"), is("threads")}, events);
    return ToObject(env, promotion, events);
  }

  // Queues the close_notify, unless OpenSSL has sent one or a fatal alert.
  void CloseNotify(const Napi::CallbackInfo&) {
    if (session_->ssl == nullptr) return;
    openssl.SSL_shutdown(session_->ssl);
    openssl.ERR_clear_error();
  }

  // The connection will not be promoted any more: drops its secret.
  void Forget(const Napi::CallbackInfo&) { session_->secret.Clear(); }

  SessionHandle session_;
};

}  // namespace

Napi::Function DefineSession(Napi::Env env) { return SessionWrap::Define(env); }

Napi::Object NewSession(Napi::Env env, std::shared_ptr<Session> session) {
  return Wrap(env, GetEnvironment(env)->session_constructor, &session);
}

}  // namespace fastify_ktls
