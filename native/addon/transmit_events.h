// What one transmit queue has to tell JavaScript, kept until the environment's
// thread fetches it: however much happens meanwhile, one call is on its way.
#ifndef FASTIFY_KTLS_ADDON_TRANSMIT_EVENTS_H_
#define FASTIFY_KTLS_ADDON_TRANSMIT_EVENTS_H_

#include <napi.h>

#include <memory>
#include <mutex>
#include <vector>

#include "addon/environment.h"
#include "transmit/transmit_queue.h"

namespace fastify_ktls {

// { error, call }
Napi::Object ToObject(Napi::Env env, Outcome outcome);

class TransmitEvents : public TransmitListener, public EnvironmentCallback {
 public:
  // `on_event(event, number, call)`, with the events of lib/binding.ts.
  static std::shared_ptr<TransmitEvents> New(std::shared_ptr<Environment> environment,
                                             const Napi::Function& on_event);

  void OnSettled(Outcome outcome) override;
  void OnClosed() override;
  void OnKeyDue() override;
  void OnKeyUpdated() override;
  void OnKeyUsedUp() override;
  void OnBypassed() override;

  // --- The environment's thread ---

  void Call(Napi::Env env) override;
  // Nobody listens any more; without it the function and all that it refers to live on.
  void Forget() { on_event_.Reset(); }

 private:
  struct News {
    std::vector<Outcome> outcomes;  // an operation's, and a failure of the queue's own
    bool key_due = false;
    uint32_t keys_updated = 0;
    bool key_used_up = false;
    bool bypassed = false;
    bool closed = false;
  };

  explicit TransmitEvents(std::shared_ptr<Environment> environment)
      : environment_(std::move(environment)) {}

  template <typename Change>
  void Tell(Change change);
  void CallEach(Napi::Env env, const News& news);

  const std::shared_ptr<Environment> environment_;
  std::weak_ptr<TransmitEvents> self_;
  Napi::FunctionReference on_event_;  // the environment's thread's

  std::mutex mutex_;  // guards the rest
  News news_;
  bool posted_ = false;
};

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_ADDON_TRANSMIT_EVENTS_H_
