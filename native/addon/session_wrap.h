// The Session of lib/binding.ts: one server-side SSL to JavaScript.
#ifndef FASTIFY_KTLS_ADDON_SESSION_WRAP_H_
#define FASTIFY_KTLS_ADDON_SESSION_WRAP_H_

#include <napi.h>

#include <memory>

#include "addon/environment.h"
#include "connection/session.h"

namespace fastify_ktls {

// The constructor, for Environment.
Napi::Function DefineSession(Napi::Env env);

Napi::Object NewSession(Napi::Env env, std::shared_ptr<Session> session);

}  // namespace fastify_ktls

#endif  // FASTIFY_KTLS_ADDON_SESSION_WRAP_H_
