#include "environment.h"

namespace fastify_ktls {

namespace {

constexpr char kClosed[] = "closed";

}  // namespace

void Environment::Start(Napi::Env env, Napi::Function on_event) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (running_) return;
  // An unlimited queue: each transfer sends one event, and none may be lost.
  function_ = Function::New(env, on_event, "fastify-ktls", 0, 1, this);
  function_.Unref(env);
  running_ = true;
}

void Environment::Stop() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!running_) return;
  running_ = false;
  function_.Abort();
}

void Environment::OnSettled(uint64_t id, Outcome outcome) { Send({id, "settled", outcome}); }

void Environment::OnKeyUpdated(uint64_t id) { Send({id, "key-updated", {}}); }

void Environment::OnKeyUsedUp(uint64_t id) { Send({id, "key-used-up", {}}); }

void Environment::OnClosed(uint64_t id) {
  Send({id, kClosed, {}});
  std::lock_guard<std::mutex> lock(mutex_);
  lingering_--;
  lingering_changed_.notify_all();
}

void Environment::AddLingering(Napi::Env env) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    lingering_++;
  }
  Hold(env);
}

void Environment::Hold(Napi::Env env) {
  if (held_++ == 0) function_.Ref(env);
}

void Environment::Release(Napi::Env env) {
  if (--held_ == 0) function_.Unref(env);
}

void Environment::WaitForLingering(std::chrono::milliseconds timeout) {
  std::unique_lock<std::mutex> lock(mutex_);
  // Not wait_for(): it takes a function of glibc 2.30 that musl does not have.
  const auto end = std::chrono::system_clock::now() + timeout;
  lingering_changed_.wait_until(lock, end, [this] { return lingering_ <= 0; });
}

void Environment::Send(const Event& event) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!running_) return;
  auto* copy = new Event(event);
  if (function_.NonBlockingCall(copy) != napi_ok) delete copy;
}

void Environment::Deliver(Napi::Env env, Napi::Function on_event, Environment* self, Event* event) {
  const std::unique_ptr<Event> owned(event);
  if (env == nullptr) return;  // the environment is going away
  if (event->name == kClosed) self->Release(env);
  const Napi::Value call = event->outcome.call == nullptr
                               ? env.Undefined()
                               : Napi::Value(Napi::String::New(env, event->outcome.call));
  on_event.Call({Napi::Number::New(env, static_cast<double>(event->id)),
                 Napi::String::New(env, event->name), Napi::Number::New(env, event->outcome.error),
                 call});
}

}  // namespace fastify_ktls
