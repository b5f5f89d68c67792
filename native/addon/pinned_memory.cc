#include "addon/pinned_memory.h"

#include <dlfcn.h>

namespace fastify_ktls {

namespace {

// v8::BackingStore. Its shared_ptr is that of the C++ library that Node was built with.
struct Store;

// Methods, whose `this` is passed as a function's first argument is (Itanium C++ ABI, 3.1).
using GetBackingStore = std::shared_ptr<Store> (*)(void* buffer);
using Is = bool (*)(const Store* store);

struct Functions {
  GetBackingStore get = nullptr;
  Is is_resizable = nullptr;
  Is is_shared = nullptr;
};

template <typename Function>
Function Find(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

Functions FindFunctions() {
  // The name of one that takes a shared_ptr tells whose it is: this is libstdc++'s.
  const auto* const same_library =
      Find<void*>("_ZN2v811ArrayBuffer3NewEPNS_7IsolateESt10shared_ptrINS_12BackingStoreEE");
  if (same_library == nullptr) return {};
  return {Find<GetBackingStore>("_ZN2v811ArrayBuffer15GetBackingStoreEv"),
          Find<Is>("_ZNK2v812BackingStore27IsResizableByUserJavaScriptEv"),
          Find<Is>("_ZNK2v812BackingStore8IsSharedEv")};
}

}  // namespace

std::shared_ptr<const void> PinMemory(const Napi::ArrayBuffer& buffer) {
  static const Functions functions = FindFunctions();
  if (functions.get == nullptr || functions.is_resizable == nullptr ||
      functions.is_shared == nullptr)
    return nullptr;
  // A napi_value is what a v8::Local holds (js_native_api_v8.h, JsValueFromV8LocalValue).
  std::shared_ptr<Store> store = functions.get(static_cast<napi_value>(buffer));
  if (!store || functions.is_resizable(store.get()) || functions.is_shared(store.get()))
    return nullptr;
  return store;
}

}  // namespace fastify_ktls
