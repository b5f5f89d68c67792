#include "addon/transmitter_wrap.h"

#include <utility>
#include <vector>

namespace fastify_ktls {

namespace {

class TransmitterWrap : public Napi::ObjectWrap<TransmitterWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Transmitter",
                       {InstanceAccessor<&TransmitterWrap::GetBackend>("backend"),
                        InstanceAccessor<&TransmitterWrap::DataBytes>("dataBytes"),
                        InstanceAccessor<&TransmitterWrap::FileBytes>("fileBytes"),
                        InstanceMethod<&TransmitterWrap::Send>("send"),
                        InstanceMethod<&TransmitterWrap::Shutdown>("shutdown"),
                        InstanceMethod<&TransmitterWrap::UpdateKey>("updateKey"),
                        InstanceMethod<&TransmitterWrap::Abort>("abort"),
                        InstanceMethod<&TransmitterWrap::Ref>("ref"),
                        InstanceMethod<&TransmitterWrap::Unref>("unref")});
  }

  struct Parts {
    EnvironmentHandle environment;
    std::shared_ptr<TransmitQueue> queue;
    std::shared_ptr<TransmitEvents> events;
  };

  explicit TransmitterWrap(const Napi::CallbackInfo& info)
      : ObjectWrap(info), parts_(std::move(*info[0].As<Napi::External<Parts>>().Data())) {
    parts_.environment->Open(parts_.queue);
  }

  ~TransmitterWrap() override {
    parts_.environment->Leave(parts_.queue);
    parts_.events->Forget();
    parts_.queue->Detach();
    parts_.queue->Abort();
  }

 private:
  Napi::Value GetBackend(const Napi::CallbackInfo& info) {
    static constexpr const char* kNames[] = {"kernel", "threads", "plain"};
    const auto backend = static_cast<size_t>(parts_.queue->records().backend());
    return Napi::String::New(info.Env(), kNames[backend]);
  }
  Napi::Value DataBytes(const Napi::CallbackInfo& info) {
    return Number(info, parts_.queue->records().data_bytes());
  }
  Napi::Value FileBytes(const Napi::CallbackInfo& info) {
    return Number(info, parts_.queue->records().file_bytes());
  }

  static Napi::Value Number(const Napi::CallbackInfo& info, uint64_t value) {
    return Napi::Number::New(info.Env(), static_cast<double>(value));
  }

  // send(parts: Part[]), as in lib/binding.ts. Takes over the fds. `bytes` may be read until they
  // are sent.
  Napi::Value Send(const Napi::CallbackInfo& info) {
    const auto parts = info[0].As<Napi::Array>();
    std::vector<TransmitItem> items;
    items.reserve(parts.Length());
    for (uint32_t i = 0; i < parts.Length(); i++) {
      const Napi::Value part = parts.Get(i);
      if (part.IsTypedArray()) {
        items.push_back(DataItem(part.As<Napi::Uint8Array>(), nullptr));
        continue;
      }
      const auto object = part.As<Napi::Object>();
      if (object.HasOwnProperty("bytes")) {
        const auto bytes = object.Get("bytes").As<Napi::Uint8Array>();
        items.push_back(DataItem(bytes, parts_.environment->Pin(info.Env(), bytes.ArrayBuffer())));
      } else if (object.HasOwnProperty("text")) {
        items.push_back(
            TextItem(object.Get("text").As<Napi::String>(),
                     static_cast<size_t>(object.Get("length").As<Napi::Number>().Int64Value())));
      } else {
        UniqueFd file(object.Get("fd").As<Napi::Number>().Int32Value());
        items.push_back(TransmitItem::Body(std::make_unique<FileBody>(
            std::move(file), object.Get("offset").As<Napi::Number>().Int64Value(),
            static_cast<uint64_t>(object.Get("length").As<Napi::Number>().Int64Value()))));
      }
    }
    return Submit(info.Env(), std::move(items));
  }

  static TransmitItem DataItem(Napi::Uint8Array bytes, std::shared_ptr<const void> pinned) {
    return TransmitItem::Body(
        std::make_unique<DataBody>(bytes.Data(), bytes.ByteLength(), std::move(pinned)));
  }

  // `length` bytes as UTF-8. Text with as many UTF-16 units is ASCII, which Latin-1 has in common
  // with it.
  static TransmitItem TextItem(Napi::String text, size_t length) {
    std::unique_ptr<uint8_t[]> bytes(new uint8_t[length + 1]);
    auto* const to = reinterpret_cast<char*>(bytes.get());
    size_t units = 0;
    size_t written = 0;
    napi_get_value_string_utf16(text.Env(), text, nullptr, 0, &units);
    const auto write = units == length ? napi_get_value_string_latin1 : napi_get_value_string_utf8;
    write(text.Env(), text, to, length + 1, &written);
    return TransmitItem::Body(std::make_unique<DataBody>(std::move(bytes), written));
  }

  // shutdown(receiving)
  Napi::Value Shutdown(const Napi::CallbackInfo& info) {
    std::vector<TransmitItem> items;
    items.push_back(TransmitItem::Shutdown(info[0].As<Napi::Boolean>().Value()));
    return Submit(info.Env(), std::move(items));
  }

  // true: done; false: pending; else what failed.
  Napi::Value Submit(Napi::Env env, std::vector<TransmitItem> items) {
    Outcome outcome;
    const bool settled = parts_.queue->Submit(std::move(items), &outcome);
    if (settled && outcome.error != 0) return ToObject(env, outcome);
    return Napi::Boolean::New(env, settled);
  }

  void UpdateKey(const Napi::CallbackInfo&) { parts_.queue->UpdateKeyNow(); }

  Napi::Value Abort(const Napi::CallbackInfo& info) {
    const bool closed = parts_.environment->Abort(info.Env(), parts_.queue);
    if (closed) parts_.events->Forget();
    return Napi::Boolean::New(info.Env(), closed);
  }

  void Ref(const Napi::CallbackInfo& info) { parts_.environment->Hold(info.Env()); }
  void Unref(const Napi::CallbackInfo& info) { parts_.environment->Release(info.Env()); }

  Parts parts_;
};

}  // namespace

Napi::Function DefineTransmitter(Napi::Env env) { return TransmitterWrap::Define(env); }

Napi::Object ToObject(Napi::Env env, const Promotion& promotion,
                      std::shared_ptr<TransmitEvents> events) {
  if (!promotion.queue) {
    Napi::Object refused = ToObject(env, promotion.cause);
    refused.Set("refusal", promotion.refusal);
    return refused;
  }
  const EnvironmentHandle& environment = GetEnvironment(env);
  TransmitterWrap::Parts parts = {environment, promotion.queue, std::move(events)};
  Napi::Object promoted = Napi::Object::New(env);
  promoted.Set("transmitter", Wrap(env, environment->transmitter_constructor, &parts));
  promoted.Set("cause", promotion.cause.error == 0 ? env.Null()
                                                   : Napi::Value(ToObject(env, promotion.cause)));
  return promoted;
}

}  // namespace fastify_ktls
