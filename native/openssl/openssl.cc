#include "openssl/openssl.h"

#include <dlfcn.h>

namespace fastify_ktls {

OpenSsl openssl;

namespace {

template <typename Function>
bool Resolve(const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
  return *function != nullptr;
}

const char* ResolveAll() {
#define V(name) \
  if (!Resolve(#name, &openssl.name)) return #name;
  FASTIFY_KTLS_OPENSSL_FUNCTIONS(V)
#undef V
  return nullptr;
}

}  // namespace

const char* LoadOpenSsl() {
  static const char* const missing = ResolveAll();
  return missing;
}

}  // namespace fastify_ktls
