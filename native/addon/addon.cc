// The addon's exports. Arguments are checked in lib/; here they are asserted.
#include <napi.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "addon/pinned_memory.h"
#include "addon/session_wrap.h"
#include "addon/transmitter_wrap.h"
#include "kernel/file_identity.h"
#include "kernel/page_cache.h"
#include "kernel/probe.h"
#include "transmit/blocking_pool.h"
#include "transmit/sender.h"

namespace fastify_ktls {

namespace {

Napi::Value ProbeKernel(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const ProbeResult probed = Probe();
  Napi::Object result = ToObject(env, {-probed.failed_errno, probed.failed_call});
  for (const auto& [name, errors] :
       {std::make_pair("tls12", probed.tls12), std::make_pair("tls13", probed.tls13)}) {
    Napi::Array array = Napi::Array::New(env);
    for (uint32_t i = 0; i < kCipherCount; i++) array.Set(i, errors[i]);
    result.Set(name, array);
  }
  result.Set("rekey", probed.rekey);
  return result;
}

// startCapture(): false when OpenSSL has no room for us.
Napi::Value StartCapturing(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), StartCapture());
}

Napi::Value ClaimSessions(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array sessions = Napi::Array::New(env);
  for (std::shared_ptr<Session>& session : Claim())
    sessions.Set(sessions.Length(), NewSession(env, std::move(session)));
  return sessions;
}

void DiscardSessions(const Napi::CallbackInfo&) { Discard(); }

// promotePlain(fd, onEvent)
Napi::Value PromotePlainConnection(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto events = TransmitEvents::New(GetEnvironment(env), info[1].As<Napi::Function>());
  return ToObject(env, PromotePlain(info[0].As<Napi::Number>().Int32Value(), events), events);
}

// duplicate(fd): the new descriptor or a negative errno.
Napi::Value Duplicate(const Napi::CallbackInfo& info) {
  const int fd = sys.duplicate(info[0].As<Napi::Number>().Int32Value());
  return Napi::Number::New(info.Env(), fd >= 0 ? fd : -errno);
}

// positionOf(fd): where a read without an offset begins; negative for what has none.
Napi::Value PositionOf(const Napi::CallbackInfo& info) {
  const off_t position = lseek(info[0].As<Napi::Number>().Int32Value(), 0, SEEK_CUR);
  return Napi::Number::New(info.Env(), static_cast<double>(position));
}

// A read in libuv's pool, by a descriptor of its own.
class WholeRead : public Napi::AsyncWorker {
 public:
  WholeRead(const Napi::Function& done, UniqueFd file, int64_t offset, Napi::Uint8Array bytes,
            int64_t size)
      : AsyncWorker(done, "fastify-ktls"),
        file_(std::move(file)),
        offset_(offset),
        bytes_(bytes.Data()),
        length_(bytes.ByteLength()),
        size_(size),
        kept_(Napi::Persistent(bytes)) {}

 private:
  void Execute() override {
    whole_ = ReadWhole(file_.get(), offset_, bytes_, length_, size_);
    file_.Reset();
  }
  void OnOK() override { Callback().Call({Napi::Boolean::New(Env(), whole_)}); }

  UniqueFd file_;
  const int64_t offset_;
  uint8_t* const bytes_;
  const uint64_t length_;
  const int64_t size_;
  const Napi::Reference<Napi::Uint8Array> kept_;
  bool whole_ = false;
};

// read(fd, offset, bytes, size, done): false when there is no descriptor for it.
Napi::Value Read(const Napi::CallbackInfo& info) {
  UniqueFd file(sys.duplicate(info[0].As<Napi::Number>().Int32Value()));
  const bool begun = static_cast<bool>(file);
  if (begun)
    (new WholeRead(info[4].As<Napi::Function>(), std::move(file),
                   info[1].As<Napi::Number>().Int64Value(), info[2].As<Napi::Uint8Array>(),
                   info[3].As<Napi::Number>().Int64Value()))
        ->Queue();
  // It deletes itself when it is done. NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks)
  return Napi::Boolean::New(info.Env(), begun);
}

// close(fd)
void CloseDescriptor(const Napi::CallbackInfo& info) {
  BlockingPool::Instance().Close(UniqueFd(info[0].As<Napi::Number>().Int32Value()));
}

// sizeOf(fd): of a regular file with blocks on a disk in bytes, else -1.
Napi::Value SizeOf(const Napi::CallbackInfo& info) {
  struct statx found = {};
  const bool known = sys.statx(info[0].As<Napi::Number>().Int32Value(), &found) == 0 &&
                     S_ISREG(found.stx_mode) && found.stx_blocks > 0;
  return Napi::Number::New(info.Env(), known ? static_cast<double>(found.stx_size) : -1);
}

FileIdentity* IdentitiesIn(const Napi::Value& bytes) {
  return reinterpret_cast<FileIdentity*>(bytes.As<Napi::Uint8Array>().Data());
}

// Of bytes with a NUL after each path.
std::vector<const char*> PathsIn(const Napi::Value& value) {
  const auto bytes = value.As<Napi::Uint8Array>();
  const char* const names = reinterpret_cast<const char*>(bytes.Data());
  std::vector<const char*> paths;
  for (size_t at = 0; at < bytes.ByteLength(); at += strlen(names + at) + 1)
    paths.push_back(names + at);
  return paths;
}

// identify(paths, identities): 0, or the negative errno of the first that cannot be told.
Napi::Value Identify(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), IdentitiesOf(PathsIn(info[0]), IdentitiesIn(info[1])));
}

// areUnchanged(paths, identities): whether these are the identities still.
Napi::Value AreUnchangedSince(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), AreUnchanged(PathsIn(info[0]), IdentitiesIn(info[1])));
}

// identifyFile(fd, identity): whether it could be told.
Napi::Value IdentifyFile(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  return Napi::Boolean::New(info.Env(), IdentityOfFile(fd, IdentitiesIn(info[1])) == 0);
}

// areLocal(paths): whether the times of all that exist are believed.
Napi::Value AreLocal(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), AreOnLocalFileSystems(PathsIn(info[0])));
}

// isCached(fd, offset): whether the byte can be read without any work for the disk.
Napi::Value IsByteCached(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const int64_t offset = info[1].As<Napi::Number>().Int64Value();
  return Napi::Boolean::New(info.Env(), IsCached(fd, offset, 1));
}

// readCached(fd, offset, bytes): fills them if that needs no work for the disk.
Napi::Value ReadCachedBytes(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const int64_t offset = info[1].As<Napi::Number>().Int64Value();
  auto bytes = info[2].As<Napi::Uint8Array>();
  return Napi::Boolean::New(info.Env(), ReadCached(fd, offset, bytes.Data(), bytes.ByteLength()));
}

// senders(): what the sender threads of the process have used and have to do.
Napi::Value Senders(const Napi::CallbackInfo& info) {
  const Sender::Usage usage = Sender::TotalUsage();
  Napi::Object senders = Napi::Object::New(info.Env());
  senders.Set("threads", static_cast<double>(usage.threads));
  senders.Set("cpuSeconds", usage.cpu_seconds);
  senders.Set("waiting", static_cast<double>(usage.waiting));
  return senders;
}

#ifdef FASTIFY_KTLS_TESTS
// limitRecords(count): after how many records a key counts as used up.
void LimitRecords(const Napi::CallbackInfo& info) {
  record_limit = static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value());
}

// closings(): for tests, see RecordLayer::Closed.
Napi::Value Closings(const Napi::CallbackInfo& info) {
  Napi::Object closings = Napi::Object::New(info.Env());
  for (const auto& [name, balance] :
       {std::make_pair("unknown", RecordLayer::kUnknown),
        std::make_pair("exact", RecordLayer::kExact), std::make_pair("owed", RecordLayer::kOwed),
        std::make_pair("less", RecordLayer::kLess), std::make_pair("more", RecordLayer::kMore)})
    closings.Set(name, static_cast<double>(RecordLayer::Closed(balance)));
  return closings;
}
#endif

// The loop lives on while queues drain; process.exit() does not ask it.
void CloseAllAtExit(Napi::Env env) {
  const auto process = env.Global().Get("process").As<Napi::Object>();
  const auto close_all = [](const Napi::CallbackInfo& info) {
    GetEnvironment(info.Env())->CloseAll(info.Env());
  };
  process.Get("once").As<Napi::Function>().Call(
      process, {Napi::String::New(env, "exit"), Napi::Function::New(env, close_all)});
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  const char* missing = LoadOpenSsl();
  exports.Set("missingFunction",
              missing == nullptr ? env.Null() : Napi::Value(Napi::String::New(env, missing)));
  if (missing != nullptr) return exports;

  auto* environment = new EnvironmentHandle(std::make_shared<Environment>(env));
  (*environment)->session_constructor = Napi::Persistent(DefineSession(env));
  (*environment)->transmitter_constructor = Napi::Persistent(DefineTransmitter(env));
  env.SetInstanceData(environment);
  env.AddCleanupHook(
      [](Environment* ending) {
        StopCapture();
        ending->Stop();
        ending->session_constructor.Reset();
        ending->transmitter_constructor.Reset();
      },
      environment->get());
  CloseAllAtExit(env);

  exports.Set("inlineBytes", static_cast<double>(kInlineBytes));
  exports.Set("transferMovesPinned", TransferMovesPinned());
  exports.Set("probe", Napi::Function::New(env, ProbeKernel, "probe"));
  exports.Set("startCapture", Napi::Function::New(env, StartCapturing, "startCapture"));
  exports.Set("claim", Napi::Function::New(env, ClaimSessions, "claim"));
  exports.Set("discard", Napi::Function::New(env, DiscardSessions, "discard"));
  exports.Set("promotePlain", Napi::Function::New(env, PromotePlainConnection, "promotePlain"));
  exports.Set("positionOf", Napi::Function::New(env, PositionOf, "positionOf"));
  exports.Set("duplicate", Napi::Function::New(env, Duplicate, "duplicate"));
  exports.Set("close", Napi::Function::New(env, CloseDescriptor, "close"));
  exports.Set("read", Napi::Function::New(env, Read, "read"));
  exports.Set("sizeOf", Napi::Function::New(env, SizeOf, "sizeOf"));
  exports.Set("identify", Napi::Function::New(env, Identify, "identify"));
  exports.Set("areUnchanged", Napi::Function::New(env, AreUnchangedSince, "areUnchanged"));
  exports.Set("identifyFile", Napi::Function::New(env, IdentifyFile, "identifyFile"));
  exports.Set("areLocal", Napi::Function::New(env, AreLocal, "areLocal"));
  exports.Set("isCached", Napi::Function::New(env, IsByteCached, "isCached"));
  exports.Set("readCached", Napi::Function::New(env, ReadCachedBytes, "readCached"));
  exports.Set("senders", Napi::Function::New(env, Senders, "senders"));
#ifdef FASTIFY_KTLS_TESTS
  exports.Set("limitRecords", Napi::Function::New(env, LimitRecords, "limitRecords"));
  exports.Set("closings", Napi::Function::New(env, Closings, "closings"));
#endif
  return exports;
}

}  // namespace

}  // namespace fastify_ktls

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  return fastify_ktls::Init(env, exports);
}

NODE_API_MODULE(fastify_ktls, InitAddon)
