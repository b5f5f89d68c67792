// The Transmitter of lib/binding.ts: a transmit queue to JavaScript.
#ifndef FASTIFY_KTLS_ADDON_TRANSMITTER_WRAP_H_
#define FASTIFY_KTLS_ADDON_TRANSMITTER_WRAP_H_

#include <napi.h>

#include <memory>

#include "addon/environment.h"
#include "addon/transmit_events.h"

namespace fastify_ktls {

// The constructor, for Environment.
Napi::Function DefineTransmitter(Napi::Env env);

Napi::Object NewTransmitter(Napi::Env env, std::shared_ptr<TransmitQueue> queue,
                            std::shared_ptr<TransmitEvents> events);

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_ADDON_TRANSMITTER_WRAP_H_
