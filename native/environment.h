// What belongs to one JavaScript environment (the main thread or a worker):
// the way back from the sender thread, and the constructors.
#ifndef FASTIFY_KTLS_ENVIRONMENT_H_
#define FASTIFY_KTLS_ENVIRONMENT_H_

#include <napi.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "transmit_queue.h"

namespace fastify_ktls {

class Environment : public TransmitListener {
 public:
  // `on_event(id, event, error, call)` is called in this environment; the events
  // have their names in lib/binding.ts.
  void Start(Napi::Env env, Napi::Function on_event);
  // The environment ends: the sender thread reaches it no more.
  void Stop();

  void OnSettled(uint64_t id, Outcome outcome) override;
  void OnClosed(uint64_t id) override;
  void OnKeyUpdated(uint64_t id) override;
  void OnKeyUsedUp(uint64_t id) override;

  // While somebody holds it, the event loop lives on.
  void Hold(Napi::Env env);
  void Release(Napi::Env env);

  // A queue that is closed in JavaScript's eyes still drains, and holds the loop.
  void AddLingering(Napi::Env env);
  // Waits until no queue lingers any more, or the time is up.
  void WaitForLingering(std::chrono::milliseconds timeout);

  Napi::FunctionReference session_constructor;
  Napi::FunctionReference transmitter_constructor;

 private:
  struct Event {
    uint64_t id;
    const char* name;
    Outcome outcome;
  };
  static void Deliver(Napi::Env env, Napi::Function on_event, Environment* self, Event* event);
  using Function = Napi::TypedThreadSafeFunction<Environment, Event, &Environment::Deliver>;

  void Send(const Event& event);

  std::mutex mutex_;  // guards the next four
  std::condition_variable lingering_changed_;
  bool running_ = false;
  Function function_;
  int lingering_ = 0;

  int held_ = 0;  // the environment's own thread's
};

// Shared with the queues, which can outlive the environment.
using EnvironmentHandle = std::shared_ptr<Environment>;

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_ENVIRONMENT_H_
