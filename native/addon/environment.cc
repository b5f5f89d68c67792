#include "addon/environment.h"

#include <chrono>
#include <utility>

#include "addon/pinned_memory.h"

namespace fastify_ktls {

namespace {

// How long the end waits for bytes that were reported as written, and for threads that read
// pinned memory.
constexpr std::chrono::milliseconds kEndWait{1000};

// Not wait_for(): it takes a function of glibc 2.30 that musl does not have.
template <typename Condition>
void WaitForEnd(std::condition_variable* changed, std::unique_lock<std::mutex>* lock,
                Condition condition) {
  changed->wait_until(*lock, std::chrono::system_clock::now() + kEndWait, condition);
}

}  // namespace

Environment::Environment(Napi::Env env) {
  // An unlimited queue, which holds one call for each connection at most.
  function_ = Function::New(env, "fastify-ktls", 0, 1);
  function_.Unref(env);
}

void Environment::Stop() {
  std::lock_guard<std::mutex> lock(mutex_);
  running_ = false;
  function_.Abort();
}

void Environment::Post(std::shared_ptr<EnvironmentCallback> callback) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!running_) return;
  auto* posted = new Posted(std::move(callback));
  if (function_.NonBlockingCall(posted) != napi_ok) delete posted;
}

void Environment::Deliver(Napi::Env env, Napi::Function, std::nullptr_t*, Posted* posted) {
  const std::unique_ptr<Posted> owned(posted);
  if (env != nullptr) (*owned)->Call(env);  // null: the environment is going away
}

void Environment::Open(std::shared_ptr<TransmitQueue> queue) { open_.insert(std::move(queue)); }

bool Environment::Abort(Napi::Env env, const std::shared_ptr<TransmitQueue>& queue) {
  // Also when it was aborted before: told once, it holds the loop once.
  if (open_.erase(queue) == 0) return true;
  if (queue->Abort()) return true;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closing_++;
  }
  // The event of closing cannot be delivered before this turn of the loop ends.
  Hold(env);
  return false;
}

void Environment::Closed() {
  std::lock_guard<std::mutex> lock(mutex_);
  closing_--;
  closing_changed_.notify_all();
}

void Environment::CloseAll(Napi::Env env) {
  while (!open_.empty()) Abort(env, std::shared_ptr<TransmitQueue>(*open_.begin()));
  std::unique_lock<std::mutex> lock(mutex_);
  WaitForEnd(&closing_changed_, &lock, [this] { return closing_ <= 0; });
}

std::shared_ptr<const void> Environment::Pin(Napi::Env env, const Napi::ArrayBuffer& buffer) {
  std::shared_ptr<const void> memory = PinMemory(buffer);
  if (!memory) return nullptr;
  constexpr auto kEndPins = [](void* self) { static_cast<Environment*>(self)->EndPins(); };
  // The hook that was added last runs first (node_api.h): before that of whoever has lent the
  // memory.
  napi_remove_env_cleanup_hook(env, kEndPins, this);
  napi_add_env_cleanup_hook(env, kEndPins, this);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    pins_++;
  }
  const void* const bytes = memory.get();
  return {bytes, [self = shared_from_this(), memory = std::move(memory)](const void*) mutable {
            memory.reset();
            std::lock_guard<std::mutex> lock(self->mutex_);
            self->pins_--;
            self->pins_changed_.notify_all();
          }};
}

void Environment::EndPins() {
  for (const auto& queue : open_) queue->Abort();
  std::unique_lock<std::mutex> lock(mutex_);
  WaitForEnd(&pins_changed_, &lock, [this] { return pins_ == 0; });
}

void Environment::Hold(Napi::Env env) {
  if (held_++ == 0) function_.Ref(env);
}

void Environment::Release(Napi::Env env) {
  if (--held_ == 0) function_.Unref(env);
}

}  // namespace fastify_ktls
