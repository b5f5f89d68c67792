// What belongs to one JavaScript environment (the main thread or a worker): the
// way back from other threads, the constructors, and what the end has to wait for.
#ifndef FASTIFY_KTLS_ADDON_ENVIRONMENT_H_
#define FASTIFY_KTLS_ADDON_ENVIRONMENT_H_

#include <napi.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <unordered_set>

#include "transmit/transmit_queue.h"

namespace fastify_ktls {

// Something to be called in the environment's thread.
class EnvironmentCallback {
 public:
  virtual ~EnvironmentCallback() = default;
  virtual void Call(Napi::Env env) = 0;
};

class Environment : public std::enable_shared_from_this<Environment> {
 public:
  explicit Environment(Napi::Env env);

  // The environment ends: other threads reach it no more.
  void Stop();

  // --- From any thread ---

  void Post(std::shared_ptr<EnvironmentCallback> callback);
  // A queue that Abort() had left open has closed.
  void Closed();

  // --- The environment's thread ---

  // A queue is open until it is aborted, at the latest as the process exits.
  void Open(std::shared_ptr<TransmitQueue> queue);
  // The queue is nobody's any more.
  void Leave(const std::shared_ptr<TransmitQueue>& queue) { open_.erase(queue); }
  // True when the queue is closed. One that still drains, closed in JavaScript's
  // eyes, holds the event loop.
  bool Abort(Napi::Env env, const std::shared_ptr<TransmitQueue>& queue);
  // Aborts all queues, and waits until all are closed or the time is up.
  void CloseAll(Napi::Env env);

  // What other threads read of JavaScript's, while the result lives; null where that cannot be
  // had (pinned_memory.h). Where the environment ends before, nobody reads it any more: memory
  // that another addon has lent JavaScript is gone then.
  std::shared_ptr<const void> Pin(Napi::Env env, const Napi::ArrayBuffer& buffer);

  // While somebody holds it, the event loop lives on.
  void Hold(Napi::Env env);
  void Release(Napi::Env env);

  Napi::FunctionReference session_constructor;
  Napi::FunctionReference transmitter_constructor;

 private:
  using Posted = std::shared_ptr<EnvironmentCallback>;
  static void Deliver(Napi::Env env, Napi::Function, std::nullptr_t*, Posted* posted);
  using Function = Napi::TypedThreadSafeFunction<std::nullptr_t, Posted, &Environment::Deliver>;

  void EndPins();

  std::mutex mutex_;  // guards the next six
  std::condition_variable closing_changed_;
  bool running_ = true;
  Function function_;
  int closing_ = 0;  // aborted queues that are open
  std::condition_variable pins_changed_;
  int pins_ = 0;

  // The environment's own thread's.
  std::unordered_set<std::shared_ptr<TransmitQueue>> open_;
  int held_ = 0;
};

// Shared with the queues, which can outlive the environment.
using EnvironmentHandle = std::shared_ptr<Environment>;

inline EnvironmentHandle& GetEnvironment(Napi::Env env) {
  return *env.GetInstanceData<EnvironmentHandle>();
}

// Passes a C++ value to the constructor of a wrapped class.
template <typename Value>
Napi::Object Wrap(Napi::Env env, const Napi::FunctionReference& constructor, Value* value) {
  return constructor.New({Napi::External<Value>::New(env, value)});
}

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_ADDON_ENVIRONMENT_H_
