#include "addon/environment.h"

#include <utility>

namespace fastify_ktls {

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

void Environment::CloseAll(Napi::Env env, std::chrono::milliseconds timeout) {
  while (!open_.empty()) Abort(env, std::shared_ptr<TransmitQueue>(*open_.begin()));
  std::unique_lock<std::mutex> lock(mutex_);
  // Not wait_for(): it takes a function of glibc 2.30 that musl does not have.
  const auto end = std::chrono::system_clock::now() + timeout;
  closing_changed_.wait_until(lock, end, [this] { return closing_ <= 0; });
}

void Environment::Hold(Napi::Env env) {
  if (held_++ == 0) function_.Ref(env);
}

void Environment::Release(Napi::Env env) {
  if (--held_ == 0) function_.Unref(env);
}

}  // namespace fastify_ktls
