#include "addon/transmit_events.h"

#include <utility>

namespace fastify_ktls {

Napi::Object ToObject(Napi::Env env, Outcome outcome) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("error", outcome.error);
  object.Set("call", outcome.call == nullptr ? "" : outcome.call);
  return object;
}

std::shared_ptr<TransmitEvents> TransmitEvents::New(std::shared_ptr<Environment> environment,
                                                    const Napi::Function& on_event) {
  std::shared_ptr<TransmitEvents> events(new TransmitEvents(std::move(environment)));
  events->self_ = events;
  events->on_event_ = Napi::Persistent(on_event);
  return events;
}

template <typename Change>
void TransmitEvents::Tell(Change change) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    change(&news_);
    if (std::exchange(posted_, true)) return;
  }
  environment_->Post(self_.lock());
}

void TransmitEvents::OnSettled(Outcome outcome) {
  Tell([outcome](News* news) { news->outcomes.push_back(outcome); });
}

void TransmitEvents::OnKeyDue() {
  Tell([](News* news) { news->key_due = true; });
}

void TransmitEvents::OnKeyUpdated() {
  Tell([](News* news) { news->keys_updated++; });
}

void TransmitEvents::OnKeyUsedUp() {
  Tell([](News* news) { news->key_used_up = true; });
}

void TransmitEvents::OnBypassed() {
  Tell([](News* news) { news->bypassed = true; });
}

void TransmitEvents::OnClosed() {
  Tell([](News* news) { news->closed = true; });
  environment_->Closed();
}

void TransmitEvents::Call(Napi::Env env) {
  News news;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    news = std::exchange(news_, {});
    posted_ = false;
  }
  if (news.closed) environment_->Release(env);
  if (!on_event_.IsEmpty()) CallEach(env, news);
  if (news.closed) Forget();
}

void TransmitEvents::CallEach(Napi::Env env, const News& news) {
  const auto call = [&](const char* event, int64_t number = 0, const char* call = "") {
    if (on_event_.IsEmpty() || env.IsExceptionPending()) return;
    on_event_.Call({Napi::String::New(env, event), Napi::Number::New(env, number),
                    Napi::String::New(env, call)});
  };
  for (const Outcome& outcome : news.outcomes)
    call("settled", outcome.error, outcome.call == nullptr ? "" : outcome.call);
  if (news.keys_updated > 0) call("key-updated", news.keys_updated);
  if (news.key_due) call("key-due");
  if (news.key_used_up) call("key-used-up");
  if (news.bypassed) call("bypassed");
  if (news.closed) call("closed");
}

}  // namespace fastify_ktls
