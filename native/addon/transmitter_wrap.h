// The Transmitter of lib/binding.ts: a transmit queue to JavaScript.
#ifndef FASTIFY_KTLS_ADDON_TRANSMITTER_WRAP_H_
#define FASTIFY_KTLS_ADDON_TRANSMITTER_WRAP_H_

#include <napi.h>

#include <memory>

#include "addon/environment.h"
#include "addon/transmit_events.h"
#include "connection/promotion.h"

namespace fastify_ktls {

// The constructor, for Environment.
Napi::Function DefineTransmitter(Napi::Env env);

// { transmitter, cause }, or of a refusal { refusal, error, call }.
Napi::Object ToObject(Napi::Env env, const Promotion& promotion,
                      std::shared_ptr<TransmitEvents> events);

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_ADDON_TRANSMITTER_WRAP_H_
