// Parts of the addon that need no connection, for tests of their own. seal(version, cipher,
// steps): the records that a Sealer makes, one for each step [type, content]; a step
// [key, iv, sequence] gives it another key, the first one its first.
// processorsInQuota(quota): ProcessorsInQuota().
#include <napi.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernel/processors.h"
#include "openssl/openssl.h"
#include "records/sealer.h"

namespace {

using fastify_ktls::kCiphers;
using fastify_ktls::Sealer;
using Bytes = Napi::Uint8Array;

template <size_t N>
void Take(const Bytes& bytes, fastify_ktls::SecretBytes<N>* secret) {
  secret->Resize(std::min(N, bytes.ByteLength()));
  memcpy(secret->data(), bytes.Data(), secret->size());
}

void TakeKey(const Napi::Array& step, fastify_ktls::TrafficKey* key) {
  bool whole;
  Take(Napi::Value(step[0u]).As<Bytes>(), &key->key);
  Take(Napi::Value(step[1u]).As<Bytes>(), &key->iv);
  key->sequence = Napi::Value(step[2u]).As<Napi::BigInt>().Uint64Value(&whole);
}

Napi::Value SealRecord(Napi::Env env, Sealer* sealer, const Napi::Array& step) {
  const auto type = static_cast<uint8_t>(Napi::Value(step[0u]).As<Napi::Number>().Uint32Value());
  const auto content = Napi::Value(step[1u]).As<Bytes>();
  const size_t length = content.ByteLength();
  // Of the exact size, so that a sanitizer sees a byte too many.
  std::vector<uint8_t> record(sealer->head_size() + length + sealer->tail_size());
  if (length > 0) memcpy(record.data() + sealer->head_size(), content.Data(), length);
  const size_t size = sealer->Seal(record.data(), type, length);
  return Napi::Buffer<uint8_t>::Copy(env, record.data(), size);
}

Napi::Value Seal(const Napi::CallbackInfo& info) {
  const int version = info[0].As<Napi::Number>().Int32Value();
  const auto& cipher = kCiphers[info[1].As<Napi::Number>().Uint32Value()];
  const auto steps = info[2].As<Napi::Array>();
  Napi::Array records = Napi::Array::New(info.Env());
  std::unique_ptr<Sealer> sealer;
  for (uint32_t i = 0; i < steps.Length(); i++) {
    const auto step = Napi::Value(steps[i]).As<Napi::Array>();
    if (step.Length() == 2) {
      records.Set(records.Length(), SealRecord(info.Env(), sealer.get(), step));
      continue;
    }
    fastify_ktls::TrafficKey key;
    TakeKey(step, &key);
    const bool taken =
        sealer ? sealer->SetKey(key) : (sealer = Sealer::New(version, cipher, key)) != nullptr;
    if (!taken) {
      Napi::Error::New(info.Env(), "the key was refused").ThrowAsJavaScriptException();
      return info.Env().Undefined();
    }
  }
  return records;
}

Napi::Value ProcessorsInQuota(const Napi::CallbackInfo& info) {
  const std::string quota = info[0].As<Napi::String>().Utf8Value();
  return Napi::Number::New(info.Env(), static_cast<double>(fastify_ktls::ProcessorsInQuota(quota)));
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  if (const char* missing = fastify_ktls::LoadOpenSsl(); missing != nullptr)
    Napi::Error::New(env, missing).ThrowAsJavaScriptException();
  exports.Set("seal", Napi::Function::New<Seal>(env));
  exports.Set("processorsInQuota", Napi::Function::New<ProcessorsInQuota>(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(native_parts, Init)
