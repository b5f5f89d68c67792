#include "addon/pinned_memory.h"

#include <dlfcn.h>

namespace fastify_ktls {

namespace {

// v8::BackingStore. Its shared_ptr is that of the C++ library that Node was built with.
struct Store;

// Methods, whose `this` is passed as a function's first argument is (Itanium C++ ABI, 3.1).
using GetBackingStore = std::shared_ptr<Store> (*)(void* buffer);
using IsDetachable = bool (*)(const void* buffer);
using Is = bool (*)(const Store* store);

struct Functions {
  GetBackingStore get = nullptr;
  IsDetachable is_detachable = nullptr;
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
          Find<IsDetachable>("_ZNK2v811ArrayBuffer12IsDetachableEv"),
          Find<Is>("_ZNK2v812BackingStore27IsResizableByUserJavaScriptEv"),
          Find<Is>("_ZNK2v812BackingStore8IsSharedEv")};
}

}  // namespace

std::shared_ptr<const void> PinMemory(const Napi::ArrayBuffer& buffer) {
  static const Functions functions = FindFunctions();
  if (functions.get == nullptr || functions.is_detachable == nullptr ||
      functions.is_resizable == nullptr || functions.is_shared == nullptr)
    return nullptr;
  // A napi_value is what a v8::Local holds (js_native_api_v8.h, JsValueFromV8LocalValue).
  void* const object = static_cast<napi_value>(buffer);
  if (!functions.is_detachable(object)) return nullptr;
  std::shared_ptr<Store> store = functions.get(object);
  if (!store || functions.is_resizable(store.get()) || functions.is_shared(store.get()))
    return nullptr;
  return store;
}

bool TransferMovesPinned() {
  // Gone with V8 13: since then a transfer to another length copies.
  return Find<void*>(
             "_ZN2v812BackingStore10ReallocateEPNS_7IsolateESt10unique_ptrIS0_St14default_"
             "deleteIS0_EEm") != nullptr;
}

}  // namespace fastify_ktls
